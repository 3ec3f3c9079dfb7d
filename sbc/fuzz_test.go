package sbc

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/sbc/sip"
)

// FuzzSubscriber holds that what the cloud tells of an account stays within its bounds.
func FuzzSubscriber(f *testing.F) {
	f.Add([]byte(`<?xml version="1.0"?><BroadsoftDocument><phoneNumber>+4989123</phoneNumber><extension>22</extension><alias>sip:a@b</alias></BroadsoftDocument>`))
	f.Add([]byte(`<a><alias>sip:%0`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		numbers, extensions := subscriber(doc)
		for _, list := range [][]string{numbers, extensions} {
			if len(list) > maxLearned {
				t.Errorf("%d words", len(list))
			}
			for _, word := range list {
				if word == "" || len(word) > maxUser {
					t.Errorf("word %q", word)
				}
			}
		}
	})
}

// Who says something in FuzzTalk, and whether as a part of the running call.
const (
	caller = iota
	callee
	newcomer // another phone
	cloudy   // the provider
	fuzzers
)

// FuzzTalk lets a call be established, lets somebody say whatever the grammar
// takes, within the call or beside it, and then lets both phones hang up: no
// call, no media and no transaction may be left, whatever it was.
func FuzzTalk(f *testing.F) {
	files, err := filepath.Glob("../testdata/torture/*/*.msg")
	if err != nil || len(files) == 0 {
		f.Fatalf("%d files, %v", len(files), err)
	}
	for i, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, uint8(i), i%2 == 0)
	}
	for _, method := range []string{"INVITE", "UPDATE", "ACK", "BYE", "CANCEL", "INFO", "MESSAGE", "NOTIFY", "OPTIONS", "PRACK", "REFER", "SUBSCRIBE"} {
		for who := range uint8(cloudy + 1) {
			f.Add([]byte(method+" sip:22@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKseed\r\nMax-Forwards: 70\r\nFrom: <sip:22@x>;tag=1\r\nTo: <sip:acc22@x>\r\n"+
				"Call-ID: seed\r\nCSeq: 100 "+method+"\r\nContact: <sip:22@192.0.2.10>\r\nRefer-To: <sip:24@x>\r\nEvent: dialog\r\nRAck: 1 1 INVITE\r\nSession-Expires: 90\r\n"+
				"Content-Type: application/sdp\r\n\r\nv=0\r\no=- 1 2 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"), who, true)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, who uint8, within bool) {
		m, err := sip.Parse(data)
		if err != nil || m == nil {
			return
		}
		if req, ok := m.(*sip.Request); ok && sip.Validate(req) != nil {
			return
		} else if resp, ok := m.(*sip.Response); ok && sip.ValidateResponse(resp) != nil {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, nil)
			w.run()
			defer w.stop()
			a, b := w.phone("22", 10), w.phone("23", 20)
			a.registers()
			b.registers()
			c := a.connects("23", b)
			from := []*peer{a, b, w.phone("24", 30), w.cloud(1)}[who%fuzzers]
			if within {
				c.join(m, from == b)
			}
			w.x.Receive(m, from.flow)
			synctest.Wait()
			for _, bye := range []*sip.Request{a.within(c.invite, c.ok, sip.BYE), b.request(sip.BYE, "22")} {
				c.join(bye, bye.From().Address.User == "23")
				bye.CSeq().SeqNo = 1<<31 - 1
				from := a
				if bye.From().Address.User == "23" {
					from = b
				}
				w.x.Receive(bye, from.flow)
			}
			<-time.After(10 * time.Minute)
			synctest.Wait()
			w.s.mu.Lock()
			calls := len(w.s.calls)
			w.s.mu.Unlock()
			if calls != 0 {
				t.Errorf("%d calls are left", calls)
			}
		})
	})
}

// join makes a message one of the running call, of the callee's leg or the caller's.
func (c talk) join(m sip.Message, callee bool) {
	from, to, id := c.invite.From().Params.GetOr("tag", ""), sip.ToTag(c.ok), sip.CallIDOf(c.invite)
	if callee {
		from, to, id = "tag-"+c.b.name+c.b.flow.Remote.Addr().String(), sip.FromTag(c.rung), sip.CallIDOf(c.rung)
	}
	if _, ok := m.(*sip.Response); ok {
		from, to = to, from
	}
	m.From().Params.Add("tag", from)
	m.To().Params.Add("tag", to)
	*m.CallID() = sip.CallID(id)
}
