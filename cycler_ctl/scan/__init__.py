"""What instruments there are: the ports and resources of this computer, and who answers there."""
