package memory

import (
	"encoding/binary"
	"fmt"
)

const (
	magic       = "cram"
	version     = 1
	messageSize = 24
)

// A message hands over a region, or lets go of one when its region is 0.
type message struct {
	toward   direction
	region   uint32
	replaces uint32
	size     uint64
}

func (m message) encode() []byte {
	b := append(make([]byte, 0, messageSize), magic...)
	b = append(b, version, byte(m.toward), 0, 0)
	b = binary.LittleEndian.AppendUint32(b, m.region)
	b = binary.LittleEndian.AppendUint32(b, m.replaces)
	return binary.LittleEndian.AppendUint64(b, m.size)
}

// decode also checks what needs no knowledge of other regions. descriptors is how many came with the message.
func decode(b []byte, descriptors int) (message, error) {
	if len(b) != messageSize {
		return message{}, fmt.Errorf("memory: expected a message of %d bytes, got %d", messageSize, len(b))
	}
	if string(b[:4]) != magic || b[4] != version || b[6] != 0 || b[7] != 0 {
		return message{}, fmt.Errorf("memory: expected a message that begins with %q, version %d, got %q", magic, version, b[:8])
	}
	m := message{
		toward:   direction(b[5]),
		region:   binary.LittleEndian.Uint32(b[8:]),
		replaces: binary.LittleEndian.Uint32(b[12:]),
		size:     binary.LittleEndian.Uint64(b[16:]),
	}
	expected := 1
	switch {
	case m.toward > towardHost:
		return message{}, fmt.Errorf("memory: region %d: expected direction 0, 1 or 2, got %d", m.region, m.toward)
	case m.toward == either:
		expected = 0
		if m.region != 0 || m.size != 0 || m.replaces == 0 {
			return message{}, fmt.Errorf("memory: region %d of %d bytes without a direction", m.region, m.size)
		}
	}
	if descriptors != expected {
		return message{}, fmt.Errorf("memory: region %d, direction %d: expected %d descriptors, got %d", m.region, m.toward, expected, descriptors)
	}
	return m, nil
}
