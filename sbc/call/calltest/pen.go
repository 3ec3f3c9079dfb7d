package calltest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"linekeeper/sbc/policy"
	"linekeeper/sbc/sip"
)

// Pen writes what the actors of one ladder say.
type Pen struct {
	// Addr is where the actors have their speech; "": 192.0.2.50.
	Addr string
	// Dialog is the Call-ID of the dialog with an actor, and the box's tag in it.
	Dialog  func(actor string) (callID, tag string)
	version uint64 // of the newest session description
	rseq    uint32 // of the box's first reliable response
}

// actorsPort is where all actors have their speech.
const actorsPort = 4000

// Tag is that of an actor.
func Tag(actor string) string { return "peer-" + actor }

// Dress puts on a message what a ladder's words say. It fails the test on a word that it
// does not know.
func (p *Pen) Dress(t *testing.T, m sip.Message, words []string) {
	t.Helper()
	for _, w := range words {
		key, val, _ := strings.Cut(w, "=")
		switch key {
		case "sdp":
			p.version++
			sip.SetBody(m, "application/sdp", p.describe(val))
		case "again": // the same description once more
			sip.SetBody(m, "application/sdp", p.describe(val))
		case "opus":
			sip.SetBody(m, "application/sdp", []byte(Describe("", p.version, "opus")))
		case "savp":
			sip.SetBody(m, "application/sdp", []byte(strings.Replace(Describe("", p.version, "PCMA"), "RTP/AVP", "RTP/SAVP", 1)+
				"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5\r\n"))
		case "fax", "video", "ice":
			p.odd(m, key, val)
		case "garbage":
			sip.SetBody(m, "application/sdp", []byte("v=0\r\nm=nonsense\r\n"))
		case "press", "info", "update", "withheld":
			allow(m, key, val)
		case "text":
			sip.SetBody(m, "text/plain", []byte("hello"))
		case "timer":
			m.AppendHeader(sip.NewHeader("Supported", "timer"))
			if val != "" {
				m.AppendHeader(sip.NewHeader("Session-Expires", strings.ReplaceAll(val, ",", ";refresher=")))
			}
		case "minse":
			m.AppendHeader(sip.NewHeader("Min-SE", val))
		case "reason": // protocol,cause
			protocol, cause, _ := strings.Cut(val, ",")
			m.AppendHeader(sip.NewHeader("Reason", protocol+";cause="+cause))
		case "elsewhere":
			m.AppendHeader(sip.NewHeader("Reason", `SIP;cause=200;text="Call completed elsewhere"`))
		case "session":
			m.AppendHeader(policy.Session{Local: strings.Repeat(val, 32), Remote: policy.NilUUID}.Header())
		case "to":
			if resp, ok := m.(*sip.Response); ok {
				resp.Contact().Address.User = val
				continue
			}
			m.AppendHeader(sip.NewHeader("Refer-To", "<"+strings.Replace(val, "tel:", "sip:", 1)+">"))
		case "other": // a dialog of another call
			sip.SetHeader(m, sip.NewHeader("Refer-To", "<sip:24@192.0.2.1?Replaces=cid-other%3Bto-tag%3Dother-0%3Bfrom-tag%3Dpeer-other>"))
		case "replaces", "stranger":
			if key == "stranger" {
				continue
			}
			id, tag := p.Dialog(val)
			rep := sip.Replaces{CallID: id, ToTag: tag, FromTag: Tag(val)}
			if req, ok := m.(*sip.Request); ok && req.Method == sip.REFER {
				m.AppendHeader(sip.ReferTo{URI: sip.URI{Scheme: "sip", User: "24", Host: "192.0.2.1"}, Replaces: &rep}.Header())
				continue
			}
			m.AppendHeader(rep.Header())
		case "earlyonly":
			sip.SetHeader(m, sip.NewHeader("Replaces", sip.HeaderValue(m, "Replaces")+";early-only"))
		case "nosub":
			m.AppendHeader(sip.NewHeader("Refer-Sub", "false"))
		case "event":
			m.AppendHeader(sip.NewHeader("Event", val))
			m.AppendHeader(sip.NewHeader("Subscription-State", "active"))
		case "expires":
			m.AppendHeader(sip.NewHeader("Expires", val))
		case "hops":
			n, _ := strconv.Atoi(val)
			*m.(*sip.Request).MaxForwards() = sip.MaxForwards(n)
		case "challenge":
			m.AppendHeader(sip.NewHeader("Proxy-Authenticate", `Digest realm="cloud", nonce="`+val+`", algorithm=MD5, qop="auth"`))
		case "stale":
			m.AppendHeader(sip.NewHeader("Proxy-Authenticate", `Digest realm="cloud", nonce="`+val+`", algorithm=MD5, qop="auth", stale=true`))
		case "fork": // the same peer by another of its dialogs
			if req, ok := m.(*sip.Request); ok {
				req.From().Params.Add("tag", val)
				continue
			}
			m.To().Params.Add("tag", val)
		case "speaks": // a description with these codecs
			p.version++
			sip.SetBody(m, "application/sdp", []byte(Describe("", p.version, val)))
		case "100rel":
			m.AppendHeader(sip.NewHeader("Supported", "100rel"))
		case "must100rel":
			m.AppendHeader(sip.NewHeader("Require", "100rel"))
		case "rel": // a response that wants its PRACK, with this RSeq
			n, _ := strconv.Atoi(val)
			m.AppendHeader(sip.NewHeader("Require", "100rel"))
			m.AppendHeader(sip.RSeqHeader(uint32(n)))
		case "rack": // a PRACK for the box's n-th reliable response
			n, _ := strconv.Atoi(val)
			m.AppendHeader(sip.RAck{RSeq: p.rseq + uint32(n) - 1, CSeq: 1, Method: sip.INVITE}.Header())
		case "media": // P-Early-Media
			m.AppendHeader(sip.NewHeader("P-Early-Media", val))
		case "for", "seq":
		default:
			t.Fatalf("unknown word %q", w)
		}
	}
}

// allow says what an actor may be sent or shown, or has it press a key.
func allow(m sip.Message, key, val string) {
	switch key {
	case "press":
		sip.SetBody(m, "application/dtmf-relay", []byte("Signal="+val+"\r\nDuration=200\r\n"))
	case "withheld":
		m.AppendHeader(sip.NewHeader("Privacy", "id"))
	default:
		m.AppendHeader(sip.NewHeader("Allow", "INVITE, ACK, "+strings.ToUpper(key)))
	}
}

// Shape is Shape for the ladder of the pen: reliable responses of the box are numbered
// from 1, so that an actor's PRACK can name one.
func (p *Pen) Shape(m sip.Message, show []string) string {
	text := Shape(m, show)
	if n, ok := sip.RSeqOf(m); ok {
		if p.rseq == 0 {
			p.rseq = n
		}
		text += " rel=" + strconv.Itoa(int(n-p.rseq)+1)
	}
	return text
}

// Describe is a session description; codecs are names with commas between.
func Describe(dir string, ver uint64, codecs string) string {
	if dir == "" {
		dir = "sendrecv"
	}
	numbers := map[string]string{"PCMU": "0 PCMU/8000", "PCMA": "8 PCMA/8000", "G722": "9 G722/8000", "opus": "111 opus/48000/2", "event": "101 telephone-event/8000"}
	var list, lines string
	for name := range strings.SplitSeq(codecs, ",") {
		n, _, _ := strings.Cut(numbers[name], " ")
		list += " " + n
		lines += "a=rtpmap:" + numbers[name] + "\r\n"
	}
	return fmt.Sprintf("v=0\r\no=- 7 %d IN IP4 192.0.2.50\r\ns=-\r\nc=IN IP4 192.0.2.50\r\nt=0 0\r\nm=audio %d RTP/AVP%s\r\n%sa=%s\r\n", ver, actorsPort, list, lines, dir)
}

// describe is what most actors say.
func (p *Pen) describe(dir string) []byte {
	text := Describe(dir, p.version, "PCMA")
	if p.Addr != "" {
		text = strings.ReplaceAll(text, "192.0.2.50", p.Addr)
	}
	return []byte(text)
}

// odd describes what is no speech: video, or T.38 in the place of the audio, of which
// "off" takes no section and "again" says the same once more; and speech with ICE.
func (p *Pen) odd(m sip.Message, key, val string) {
	if key == "video" {
		sip.SetBody(m, "application/sdp", []byte("v=0\r\no=- 1 1 IN IP4 192.0.2.50\r\ns=-\r\nc=IN IP4 192.0.2.50\r\nt=0 0\r\nm=video 5000 RTP/AVP 97\r\n"))
		return
	}
	if val != "again" {
		p.version++
	}
	if key == "ice" {
		sip.SetBody(m, "application/sdp", []byte(Describe(val, p.version, "PCMA")+
			"a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=candidate:1 1 UDP 2130706431 192.0.2.50 4000 typ host\r\n"))
		return
	}
	sip.SetBody(m, "application/sdp", []byte(describeFax(val == "off", p.version)))
}

// describeFax is a description of T.38.
func describeFax(off bool, ver uint64) string {
	port := 4002
	if off {
		port = 0
	}
	return fmt.Sprintf("v=0\r\no=- 7 %d IN IP4 192.0.2.50\r\ns=-\r\nc=IN IP4 192.0.2.50\r\nt=0 0\r\nm=image %d udptl t38\r\n"+
		"a=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\na=T38FaxRateManagement:transferredTCF\r\na=T38FaxMaxBuffer:1024\r\n"+
		"a=T38FaxMaxDatagram:238\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n", ver, port)
}
