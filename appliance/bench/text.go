package main

import (
	"bytes"
	"strconv"
)

// What the call load reads and writes of SIP: as little as it can, by hand, because
// whoever offers thousands of calls a second from one core has no time for a parser.

// field is the value of the first header field of a name; "" if there is none.
func field(msg []byte, name string) string {
	v, _ := nextField(msg, name)
	return v
}

// nextField also gives what follows, for header fields that come several times.
func nextField(msg []byte, name string) (string, []byte) {
	for {
		i := bytes.IndexByte(msg, '\n')
		if i < 0 || len(msg) < i+2 {
			return "", nil
		}
		msg = msg[i+1:]
		if msg[0] == '\r' {
			return "", nil
		}
		if len(msg) > len(name) && msg[len(name)] == ':' && bytes.EqualFold(msg[:len(name)], []byte(name)) {
			value, _, _ := bytes.Cut(msg[len(name)+1:], []byte("\r\n"))
			return string(bytes.TrimSpace(value)), msg
		}
	}
}

// fields are all values of a header field, in order.
func fields(msg []byte, name string) []string {
	var all []string
	for {
		v, rest := nextField(msg, name)
		if rest == nil {
			return all
		}
		all, msg = append(all, v), rest
	}
}

// status is the code of a response, 0 of a request.
func status(msg []byte) int {
	if len(msg) < 12 || string(msg[:8]) != "SIP/2.0 " {
		return 0
	}
	n, err := strconv.Atoi(string(msg[8:11]))
	if err != nil {
		return 0
	}
	return n
}

// method is that of a request.
func method(msg []byte) string {
	m, _, _ := bytes.Cut(msg, []byte(" "))
	return string(m)
}

// inBrackets is the URI between < and >.
func inBrackets(value string) string {
	b := []byte(value)
	from, to := bytes.IndexByte(b, '<'), bytes.IndexByte(b, '>')
	if from < 0 || to < from {
		return value
	}
	return string(b[from+1 : to])
}

// body is what follows the empty line.
func body(msg []byte) []byte {
	_, b, _ := bytes.Cut(msg, []byte("\r\n\r\n"))
	return b
}

// answerTo is a response to a request: its Vias, Record-Routes, From, To, Call-ID and CSeq,
// then extra header fields (each with its line end) and a body.
func answerTo(req []byte, line, tag, extra string, body []byte) []byte {
	b := make([]byte, 0, 1024+len(body))
	b = append(b, "SIP/2.0 "...)
	b = append(b, line...)
	b = append(b, "\r\n"...)
	for _, name := range []string{"Via", "Record-Route", "From", "To", "Call-ID", "CSeq"} {
		for _, v := range fields(req, name) {
			b = append(b, name...)
			b = append(b, ": "...)
			b = append(b, v...)
			if name == "To" && tag != "" && !bytes.Contains([]byte(v), []byte(";tag=")) {
				b = append(b, ";tag="...)
				b = append(b, tag...)
			}
			b = append(b, "\r\n"...)
		}
	}
	b = append(b, extra...)
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(b, "\r\n\r\n"...)
	return append(b, body...)
}
