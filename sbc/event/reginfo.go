package event

import (
	"bytes"
	"encoding/xml"
	"strconv"
	"time"
)

// Contact is one contact of a watched registration (RFC 3680 5.3).
type Contact struct {
	// ID names the contact within the documents of one subscription.
	ID, URI string
	// Left is how long the binding still lasts.
	Left time.Duration
	// Agent is what the phone calls itself, if that may be told.
	Agent string
}

// RegInfo writes a full reginfo document about one address of record (RFC 3680
// 5). Without a contact the registration is terminated, a word that phones take
// for unregistered whatever was before.
func RegInfo(aor string, version uint32, contacts []Contact) []byte {
	var b bytes.Buffer
	b.WriteString(xml.Header + `<reginfo xmlns="urn:ietf:params:xml:ns:reginfo"`)
	attr(&b, "version", strconv.FormatUint(uint64(version), 10))
	attr(&b, "state", "full")
	b.WriteString(">\n<registration")
	attr(&b, "aor", aor)
	attr(&b, "id", "a1")
	state := "terminated"
	if len(contacts) > 0 {
		state = "active"
	}
	attr(&b, "state", state)
	b.WriteString(">\n")
	for _, c := range contacts {
		b.WriteString("<contact")
		attr(&b, "id", c.ID)
		attr(&b, "state", "active")
		attr(&b, "event", "registered")
		attr(&b, "expires", strconv.Itoa(int(c.Left/time.Second)))
		b.WriteString("><uri>")
		text(&b, c.URI)
		b.WriteString("</uri>")
		if c.Agent != "" {
			b.WriteString(`<unknown-param name="user-agent">`)
			text(&b, c.Agent)
			b.WriteString("</unknown-param>")
		}
		b.WriteString("</contact>\n")
	}
	b.WriteString("</registration>\n</reginfo>\n")
	return b.Bytes()
}
