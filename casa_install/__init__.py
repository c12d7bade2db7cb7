"""casa-install turns bare-metal hosts into a Coffea-casa analysis facility."""
