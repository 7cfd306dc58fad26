"""Run by the Python of QGIS: adds the service's layers, draws each, and prints what came of it as JSON."""

from __future__ import annotations

import json
import sys

from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsMapRendererSequentialJob,
    QgsMapSettings,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
    QgsVectorTileLayer,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor

AREA = QgsRectangle(105.1, 27.1, 105.5, 27.4)
WHITE = QColor(255, 255, 255)


def drawn_pixels(layer: object) -> int:
    """How many pixels of a picture of the layer are not blank."""
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setOutputSize(QSize(300, 220))
    settings.setBackgroundColor(WHITE)
    settings.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:3857"))
    degrees = QgsCoordinateReferenceSystem("EPSG:4326")
    transform = QgsCoordinateTransform(degrees, settings.destinationCrs(), QgsProject.instance())
    settings.setExtent(transform.transformBoundingBox(AREA))
    job = QgsMapRendererSequentialJob(settings)
    job.start()
    job.waitForFinished()
    image = job.renderedImage()
    return sum(image.pixelColor(x, y) != WHITE for x in range(300) for y in range(220))


def main(server: str) -> None:
    """Add, draw and tell."""
    application = QgsApplication([], False)
    application.initQgis()
    features = QgsVectorLayer(f"url='{server}' typename='shelters'", "shelters", "OAPIF")
    tiles = QgsVectorTileLayer(
        f"type=xyz&url={server}/tiles/shelters,risk_zones/{{z}}/{{x}}/{{y}}.mvt&zmin=0&zmax=16", "tiles"
    )
    slope = QgsRasterLayer(f"type=xyz&url={server}/rasters/slope/{{z}}/{{x}}/{{y}}.png&zmin=8&zmax=12", "slope", "wms")
    told = {
        "valid": [layer.isValid() for layer in (features, tiles, slope)],
        "names": sorted(feature["name"] for feature in features.getFeatures()),
        "crs": features.crs().authid(),
        "fields": features.fields().names(),
        "drawn": [drawn_pixels(layer) for layer in (features, tiles, slope)],
    }
    print(json.dumps(told))
    del features, tiles, slope
    application.exitQgis()


main(sys.argv[1])
