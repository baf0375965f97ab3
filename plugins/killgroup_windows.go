package plugins

// killGroup does nothing: the host's job object kills its processes when the host ends.
func killGroup() {}
