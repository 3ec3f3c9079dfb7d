package sip

import (
	"strings"
	"testing"
)

func TestAMessageSurvivesParseAndBytes(t *testing.T) {
	const text = "INVITE sip:bob@example.com:5070;transport=tcp SIP/2.0\r\n" +
		"v: SIP / 2.0 / UDP a.example.com: 5060 ;branch=z9hG4bKa;Rport, SIP/2.0/TCP [::1]:5061;branch=z9hG4bKb\r\n" +
		"Max-Forwards: 70\r\n" +
		"f: \"A \\\"B\\\" C\" <sip:a@example.com;x=y?h=1>;TAG=1\r\n" +
		"To: Bob <tel:+15551234>\r\n" +
		"i: 1@x\r\nCSeq: 7\t INVITE\r\n" +
		"m: <sip:a@10.0.0.1>;+sip.instance=\"<urn:uuid:1>\";q=0.5\r\n" +
		"k: 100rel,\r\n timer\r\nRecord-Route: <sip:p1;lr>, <sip:p2;lr>;foo=bar\r\n" +
		"Content-Type: application/sdp\r\nl: 4\r\n\r\nabcd"
	m, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	once := string(Bytes(m))
	again, err := Parse([]byte(once))
	if err != nil {
		t.Fatalf("%v\n%s", err, once)
	}
	if twice := string(Bytes(again)); twice != once {
		t.Errorf("first:\n%s\nsecond:\n%s", once, twice)
	}
	for _, want := range []string{
		"Via: SIP/2.0/UDP a.example.com:5060;branch=z9hG4bKa;rport\r\nVia: SIP/2.0/TCP [::1]:5061;branch=z9hG4bKb\r\n",
		`From: "A \"B\" C" <sip:a@example.com;x=y?h=1>;tag=1`, "Supported: 100rel, timer\r\n",
		"Record-Route: <sip:p1;lr>\r\nRecord-Route: <sip:p2;lr>;foo=bar\r\n",
		`Contact: <sip:a@10.0.0.1>;+sip.instance="<urn:uuid:1>";q=0.5`, "Content-Length: 4\r\n\r\nabcd",
	} {
		if !strings.Contains(once, want) {
			t.Errorf("missing %q in\n%s", want, once)
		}
	}
}
