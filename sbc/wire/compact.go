package wire

import "bytes"

// short is the one-letter name that RFC 3261 gives to a header field; "" for none.
// Those of later RFCs are not used: not every peer knows them.
func short(name []byte) string {
	switch string(name) {
	case "Via":
		return "v"
	case "From":
		return "f"
	case "To":
		return "t"
	case "Call-ID":
		return "i"
	case "Contact":
		return "m"
	case "Supported":
		return "k"
	case "Content-Type":
		return "c"
	case "Content-Length":
		return "l"
	}
	return ""
}

// Compact writes a message with the short names of its header fields, which every peer
// must understand and which are meant for messages that would else be too large for
// their transport (RFC 3261 7.3.3).
func Compact(raw []byte) []byte {
	head, body := raw, []byte(nil)
	if i := bytes.Index(raw, []byte("\r\n\r\n")); i >= 0 {
		head, body = raw[:i+2], raw[i+2:]
	}
	out := make([]byte, 0, len(raw))
	for line := range bytes.Lines(head) {
		if i := bytes.IndexByte(line, ':'); i > 0 && len(out) > 0 { // the first line is none
			if s := short(line[:i]); s != "" {
				out, line = append(out, s...), line[i:]
			}
		}
		out = append(out, line...)
	}
	return append(out, body...)
}

// fits is raw or its compact form, whichever a datagram has room for; ok is false
// where neither is small enough.
func fits(raw []byte) (b []byte, ok bool) {
	if len(raw) <= largest {
		return raw, true
	}
	if b = Compact(raw); len(b) <= largest {
		return b, true
	}
	return raw, false
}
