-- What answers by road need: which version of a layer is the last one, without reading the log.

CREATE INDEX changes_layer ON leeward.changes (layer, version);
