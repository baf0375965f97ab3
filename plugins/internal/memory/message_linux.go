package memory

import (
	"encoding/binary"
	"fmt"
)

const (
	magic          = "cram"
	messageVersion = 1
	messageSize    = 24
)

// A regionMessage sends a region to the plugin. With region 0 it only removes the replaced region.
type regionMessage struct {
	direction direction
	region    uint32
	replaces  uint32
	size      uint64
}

func (m regionMessage) encode() []byte {
	b := append(make([]byte, 0, messageSize), magic...)
	b = append(b, messageVersion, byte(m.direction), 0, 0)
	b = binary.LittleEndian.AppendUint32(b, m.region)
	b = binary.LittleEndian.AppendUint32(b, m.replaces)
	return binary.LittleEndian.AppendUint64(b, m.size)
}

// decode returns a message after all checks that need no other region. descriptors is the number of
// file descriptors that the message carried.
func decode(b []byte, descriptors int) (regionMessage, error) {
	if len(b) != messageSize {
		return regionMessage{}, fmt.Errorf("want a message of %d bytes, got %d", messageSize, len(b))
	}
	if string(b[:4]) != magic || b[4] != messageVersion || b[6] != 0 || b[7] != 0 {
		return regionMessage{}, fmt.Errorf("want a message that begins with %q, version %d, got %q", magic, messageVersion, b[:8])
	}
	m := regionMessage{
		direction: direction(b[5]),
		region:    binary.LittleEndian.Uint32(b[8:]),
		replaces:  binary.LittleEndian.Uint32(b[12:]),
		size:      binary.LittleEndian.Uint64(b[16:]),
	}
	want := 1
	switch {
	case m.direction > output:
		return regionMessage{}, fmt.Errorf("region %d: want direction 0, 1 or 2, got %d", m.region, m.direction)
	case m.direction == noRegion:
		want = 0
		if m.region != 0 || m.size != 0 || m.replaces == 0 {
			return regionMessage{}, fmt.Errorf("region %d of %d bytes has no direction", m.region, m.size)
		}
	}
	if descriptors != want {
		return regionMessage{}, fmt.Errorf("region %d, direction %d: want %d descriptors, got %d", m.region, m.direction, want, descriptors)
	}
	return m, nil
}
