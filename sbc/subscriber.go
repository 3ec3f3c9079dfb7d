package sbc

import (
	"bytes"
	"encoding/xml"
	"slices"
	"strings"

	"linekeeper/sbc/sip"
)

const (
	// maxLearned bounds the numbers that the cloud tells of one account.
	maxLearned = 16
	// maxSubscriber bounds the document that tells them.
	maxSubscriber = 64 << 10
)

// subscriber reads the subscriber data that BroadWorks puts into the answer to a
// REGISTER, as gateways of the field use it: the subscriber's numbers, aliases and
// short numbers. What can't be read is left out: the document as it is seen even
// closes its root by another spelling than it opened it.
func subscriber(doc []byte) (numbers, extensions []string) {
	if len(doc) > maxSubscriber {
		return nil, nil
	}
	d := xml.NewDecoder(bytes.NewReader(doc))
	d.Strict = false
	var in string
	for {
		t, err := d.Token()
		if err != nil {
			return numbers, extensions
		}
		switch t := t.(type) {
		case xml.StartElement:
			in = t.Name.Local
		case xml.EndElement:
			in = ""
		case xml.CharData:
			text := strings.TrimSpace(string(t))
			switch in {
			case "phoneNumber":
				numbers = add(numbers, text)
			case "extension":
				extensions = add(extensions, text)
			case "alias":
				if u, err := sip.ParseURI(text); err == nil {
					numbers = add(numbers, dialled(&u))
				}
			}
		}
	}
}

// add adds a word to a list unless it is there, too long, empty, or the list is full.
func add(list []string, word string) []string {
	if word == "" || len(word) > maxUser || len(list) >= maxLearned || slices.Contains(list, word) {
		return list
	}
	return append(list, word)
}
