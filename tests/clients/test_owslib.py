"""OWSLib: collections, items in a box, queryables."""

from __future__ import annotations

from owslib.ogcapi.features import Features

from layers.catalog import catalog

JSON = {"Accept": "application/json"}


def test_collections_and_items(server: str) -> None:
    service = Features(server, headers=JSON)
    assert service.feature_collections() == list(catalog())
    assert service.collection("shelters")["title"] == catalog()["shelters"].title.zh
    found = service.collection_items("shelters", bbox=[105.195, 27.195, 105.225, 27.215], limit=100)
    assert found["numberReturned"] == 6
    feature = found["features"][0]
    assert (
        service.collection_item("shelters", str(feature["id"]))["properties"]["name"] == feature["properties"]["name"]
    )


def test_the_pages_of_a_layer(server: str) -> None:
    page = Features(server, headers=JSON).collection_items("shelters", limit=200)
    assert len(page["features"]) == 200
    assert next(link["href"] for link in page["links"] if link["rel"] == "next").startswith(server)


def test_queryables_and_conformance(server: str) -> None:
    service = Features(server, headers=JSON)
    assert {"name", "status", "class"} <= set(service.collection_queryables("shelters")["properties"])
    assert service.collection_items("shelters", limit=10, filter="status = 'open'")["numberMatched"] == 125
    claimed = service.conformance()["conformsTo"]
    assert "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core" in claimed
    assert "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/core" in claimed
