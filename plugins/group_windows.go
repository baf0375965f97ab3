package plugins

// killGroup does nothing: the host's job object ends with the host.
func killGroup() {}
