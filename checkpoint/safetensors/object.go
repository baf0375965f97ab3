package safetensors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// object splits a JSON object into its fields. It refuses equal keys: encoding/json takes the last,
// and another reader may take the first.
func object(text []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	open, err := d.Token()
	if err != nil {
		return nil, truncated(err)
	}
	if open != json.Delim('{') {
		return nil, fmt.Errorf("want a JSON object, got %v", open)
	}
	fields := map[string]json.RawMessage{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, truncated(err)
		}
		key, ok := token.(string)
		if !ok {
			return nil, fmt.Errorf("want a key, got %v", token)
		}
		if _, twice := fields[key]; twice {
			return nil, fmt.Errorf("key %q occurs twice", key)
		}
		var content json.RawMessage
		if err := d.Decode(&content); err != nil {
			return nil, truncated(err)
		}
		fields[key] = content
	}
	if _, err := d.Token(); err != nil {
		return nil, truncated(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("bytes follow the JSON object at byte %d", d.InputOffset())
	}
	return fields, nil
}

// truncated returns io.ErrUnexpectedEOF for io.EOF.
func truncated(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// parseEntry parses the header's entry of a tensor: exactly three fields, in the format's spelling.
func parseEntry(text []byte) (e entry, err error) {
	fields, err := object(text)
	if err != nil {
		return e, err
	}
	var offsets []int64
	for _, f := range []struct {
		key  string
		into any
	}{{"dtype", &e.DType}, {"shape", &e.Shape}, {"data_offsets", &offsets}} {
		content, ok := fields[f.key]
		if !ok || string(content) == "null" {
			return e, fmt.Errorf("lacks %q", f.key)
		}
		if err := json.Unmarshal(content, f.into); err != nil {
			return e, fmt.Errorf("%s: %w", f.key, err)
		}
		delete(fields, f.key)
	}
	for key := range fields {
		return e, fmt.Errorf("unknown field %q", key)
	}
	if len(offsets) != 2 {
		return e, fmt.Errorf("data_offsets are %v, want two", offsets)
	}
	copy(e.Offsets[:], offsets)
	return e, nil
}
