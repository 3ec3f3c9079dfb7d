package event

import (
	"bytes"
	"encoding/xml"
	"strconv"
)

// Dialog is one dialog of a watched extension, as its phone sees it: what is
// local here is local to the phone (RFC 4235 4.1).
type Dialog struct {
	// ID names the dialog within the documents of one subscription.
	ID                          string
	CallID, LocalTag, RemoteTag string
	// Initiator says that the phone called; else it is called.
	Initiator bool
	// State is trying, early, confirmed or terminated (RFC 4235 3.7.1).
	State string
	// Local and Remote are the two parties.
	Local, Remote Party
}

// Party is one end of a dialog.
type Party struct{ Display, URI string }

// DialogInfo writes a full dialog-info document (RFC 4235 4). Entity is the
// watched extension's URI.
func DialogInfo(entity string, version uint32, dialogs []Dialog) []byte {
	var b bytes.Buffer
	b.WriteString(xml.Header + `<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info"`)
	attr(&b, "version", strconv.FormatUint(uint64(version), 10))
	attr(&b, "state", "full")
	attr(&b, "entity", entity)
	b.WriteString(">\n")
	for _, d := range dialogs {
		d.write(&b)
	}
	b.WriteString("</dialog-info>\n")
	return b.Bytes()
}

func (d Dialog) write(b *bytes.Buffer) {
	b.WriteString("<dialog")
	attr(b, "id", d.ID)
	attr(b, "call-id", d.CallID)
	attr(b, "local-tag", d.LocalTag)
	attr(b, "remote-tag", d.RemoteTag)
	direction := "recipient"
	if d.Initiator {
		direction = "initiator"
	}
	attr(b, "direction", direction)
	b.WriteString(">\n<state>" + d.State + "</state>\n")
	d.Local.write(b, "local")
	d.Remote.write(b, "remote")
	b.WriteString("</dialog>\n")
}

func (p Party) write(b *bytes.Buffer, name string) {
	if p.URI == "" {
		return
	}
	b.WriteString("<" + name + "><identity")
	if p.Display != "" {
		attr(b, "display", p.Display)
	}
	b.WriteByte('>')
	text(b, p.URI)
	b.WriteString("</identity><target")
	attr(b, "uri", p.URI)
	b.WriteString("/></" + name + ">\n")
}

// attr writes an attribute; one without a value is left out.
func attr(b *bytes.Buffer, name, value string) {
	if value == "" {
		return
	}
	b.WriteString(" " + name + `="`)
	text(b, value)
	b.WriteByte('"')
}

func text(b *bytes.Buffer, s string) { _ = xml.EscapeText(b, []byte(s)) } // a buffer takes everything
