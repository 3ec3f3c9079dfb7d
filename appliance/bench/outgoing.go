package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/icholy/digest"
)

// handset is a phone of the call load.
type handset struct {
	user, password string
	id             string
	seq            int
	challenge      *digest.Challenge
	nc             int
	there          bool
}

func newHandset(i int) *handset {
	return &handset{user: extension(i), password: password(i), id: token()}
}

// credentials answer the challenge that the phone knows already, as phones do that
// have registered: a call then costs no round for being asked.
func (h *handset) credentials(method, uri string) string {
	if h.challenge == nil {
		return ""
	}
	h.nc++
	cred, err := digest.Digest(h.challenge, digest.Options{Method: method, URI: uri, Username: h.user, Password: h.password, Count: h.nc})
	if err != nil {
		return ""
	}
	return "Authorization: " + cred.String() + "\r\n"
}

// learn keeps the MD5 challenge of a 401: what most phones in offices speak.
func (h *handset) learn(msg []byte) bool {
	for _, v := range fields(msg, "WWW-Authenticate") {
		if c, err := digest.ParseChallenge(v); err == nil && (c.Algorithm == "" || strings.EqualFold(c.Algorithm, "MD5")) {
			h.challenge, h.nc = c, 0
			return true
		}
	}
	return false
}

// register lets every phone register; phones are trusted by their address then.
func (g *rig) register(ctx context.Context) error {
	now := time.Now()
	for i, h := range g.sets {
		g.after(now, time.Duration(i)*5*time.Millisecond, func(time.Time) { h.register(g) })
	}
	g.serve(ctx, readyTimeout, func() bool {
		for _, h := range g.sets {
			if !h.there {
				return false
			}
		}
		return true
	})
	for _, h := range g.sets {
		if !h.there {
			return fmt.Errorf("phone %s of the call load could not register", h.user)
		}
	}
	return ctx.Err()
}

func (h *handset) register(g *rig) {
	h.seq++
	uri := "sip:" + g.domain
	g.near.write(fmt.Appendf(nil, "REGISTER %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s;rport\r\nMax-Forwards: 70\r\n"+
		"From: <sip:%s@%s>;tag=%s\r\nTo: <sip:%s@%s>\r\nCall-ID: r-%s\r\nCSeq: %d REGISTER\r\nContact: <sip:%s@%s>\r\nExpires: 3600\r\n"+
		"User-Agent: Linekeeper Bench\r\n%sContent-Length: 0\r\n\r\n", uri, g.near.local, token(), h.user, g.domain, h.id[:8], h.user, g.domain,
		h.id, h.seq, h.user, g.near.local, h.credentials("REGISTER", uri)), g.box)
}

func (h *handset) registered(g *rig, now time.Time, code int, msg []byte) {
	switch {
	case code == 200:
		h.there = true
	case code == 401 && h.challenge == nil && h.learn(msg):
		h.register(g)
	case code == 503:
		g.after(now, time.Second, func(time.Time) { h.register(g) })
	}
}

// outgoing is a call of a phone.
type outgoing struct {
	g       *rig
	h       *handset
	id      string
	uri     string
	began   time.Time
	hold    time.Duration
	seq     int
	head    string // From, Call-ID and more that all its requests share
	to      string
	target  string // of requests within the call
	routes  string
	last    []byte // what is repeated until heard
	ack     []byte
	heard   bool // nothing is to be repeated now
	talking bool
	leaving bool
	asked   bool // for credentials, once
}

// call begins a call by the next phone.
func (g *rig) call(now time.Time, hold time.Duration) {
	h := g.sets[g.serial%len(g.sets)]
	g.serial++
	c := &outgoing{g: g, h: h, id: "c-" + strconv.Itoa(g.serial) + "-" + h.id, began: now, hold: hold}
	c.uri = "sip:" + outside + "@" + g.domain
	c.to = "<" + c.uri + ">"
	c.head = fmt.Sprintf("From: <sip:%s@%s>;tag=%s%d\r\nCall-ID: %s\r\nMax-Forwards: 70\r\nUser-Agent: Linekeeper Bench\r\n", h.user, g.domain, h.id[:8], g.serial, c.id)
	g.calls[c.id] = c
	c.invite(now)
	g.after(now, hold+rigPatience, func(time.Time) {
		if g.calls[c.id] == c {
			c.fail("not over in time")
		}
	})
}

func (c *outgoing) request(method, target, extra string, body []byte) []byte {
	return append(fmt.Appendf(make([]byte, 0, 1200), "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s%d%s;rport\r\n%s%sTo: %s\r\nCSeq: %d %s\r\nContact: <sip:%s@%s>\r\n%sContent-Length: %d\r\n\r\n",
		method, target, c.g.near.local, c.id, c.seq, method, c.routes, c.head, c.to, c.seq, method, c.h.user, c.g.near.local, extra, len(body)), body...)
}

func (c *outgoing) invite(now time.Time) {
	c.seq++
	extra := "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, REFER, NOTIFY\r\nSupported: timer, replaces\r\nContent-Type: application/sdp\r\n"
	if c.g.prove {
		extra += c.h.credentials("INVITE", c.uri)
	}
	c.say(now, c.request("INVITE", c.uri, extra, c.g.offer))
}

// say sends a request and repeats it until it is heard.
func (c *outgoing) say(now time.Time, msg []byte) {
	c.last, c.heard = msg, false
	c.g.near.write(msg, c.g.box)
	c.again(now, msg, rigT1)
}

func (c *outgoing) again(now time.Time, msg []byte, wait time.Duration) {
	c.g.after(now, wait, func(now time.Time) {
		if c.heard || &c.last[0] != &msg[0] || c.g.calls[c.id] != c {
			return
		}
		c.g.present.Repeats++
		c.g.near.write(msg, c.g.box)
		c.again(now, msg, min(2*wait, rigT2))
	})
}

// answered takes a response.
func (c *outgoing) answered(now time.Time, code int, msg []byte) {
	seq, method, _ := strings.Cut(field(msg, "CSeq"), " ")
	switch {
	case method == "BYE" && code >= 200 && c.leaving:
		c.over()
		c.g.present.Done++
	case method != "INVITE":
	case c.talking:
		if code/100 == 2 { // its ACK was lost
			c.g.near.write(c.ack, c.g.box)
		}
	case seq != strconv.Itoa(c.seq): // of the INVITE before its credentials
	case code < 200:
		c.heard = true
	case code < 300:
		c.answer(now, msg)
	default:
		c.refused(now, code, msg)
	}
}

// answer takes the 200: the call stands until its time is over.
func (c *outgoing) answer(now time.Time, msg []byte) {
	c.heard, c.talking = true, true
	c.g.present.Setup.add(now.Sub(c.began))
	c.to, c.target = field(msg, "To"), inBrackets(field(msg, "Contact"))
	rr := fields(msg, "Record-Route")
	var routes strings.Builder
	for i := len(rr) - 1; i >= 0; i-- {
		routes.WriteString("Route: " + rr[i] + "\r\n")
	}
	c.routes = routes.String()
	c.ack = c.request("ACK", c.target, "", nil)
	c.g.near.write(c.ack, c.g.box)
	c.g.after(now, c.hold, func(now time.Time) {
		if c.g.calls[c.id] != c {
			return
		}
		c.seq++
		c.leaving = true
		c.say(now, c.request("BYE", c.target, "", nil))
	})
}

// refused acknowledges and counts, or asks again with new credentials.
func (c *outgoing) refused(now time.Time, code int, msg []byte) {
	to := c.to
	c.to = field(msg, "To")
	ack := c.request("ACK", c.uri, "", nil)
	// RFC 3261 17.1.1.3: with the branch of the INVITE
	ack = []byte(strings.Replace(string(ack), strconv.Itoa(c.seq)+"ACK;rport", strconv.Itoa(c.seq)+"INVITE;rport", 1))
	c.g.near.write(ack, c.g.box)
	c.to = to
	if code == 401 && !c.asked && c.g.prove && c.h.learn(msg) {
		c.asked = true
		c.invite(now)
		return
	}
	if code == 503 {
		c.over()
		if field(msg, "Retry-After") == "" {
			c.g.present.Rude++
		} else {
			c.g.present.Shed++
		}
		return
	}
	c.fail("refused with " + strconv.Itoa(code))
}

func (c *outgoing) over() {
	c.heard = true
	delete(c.g.calls, c.id)
}

func (c *outgoing) fail(why string) {
	c.over()
	c.g.present.Failed++
	if c.g.present.FirstError == "" {
		c.g.present.FirstError = "call " + c.id + " was " + why
	}
}
