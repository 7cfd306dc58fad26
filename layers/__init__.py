"""What is known: layers in PostGIS, defined by one TOML file each."""
