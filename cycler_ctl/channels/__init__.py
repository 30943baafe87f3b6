"""What a station holds: instruments, outputs, sensors. ``cycler_ctl.station`` owns all of them."""
