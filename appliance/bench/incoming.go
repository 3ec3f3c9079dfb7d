package main

import (
	"bytes"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// incoming is a call that the load's cloud has answered.
type incoming struct {
	ok    []byte // its 200, repeated until acknowledged
	acked bool
}

// The cloud keeps what it answered for so long, so that repeated requests find it.
const takenFor = 12 * time.Second

// takeFar plays the cloud: it registers whoever asks, and answers every call at once.
func (g *rig) takeFar() bool {
	msg, from := g.far.read()
	if msg == nil {
		return false
	}
	if status(msg) != 0 || field(msg, "Call-ID") == "" { // not asked, or a line end that keeps a mapping open
		return true
	}
	id := field(msg, "Call-ID")
	switch method(msg) {
	case "INVITE":
		g.pickUp(time.Now(), id, msg, from)
	case "ACK":
		if c := g.taken[id]; c != nil {
			c.acked = true
		}
	case "REGISTER":
		g.lines[inBrackets(field(msg, "To"))] = true
		contact := field(msg, "Contact")
		if contact != "" {
			contact = "Contact: <" + inBrackets(contact) + ">;expires=3600\r\n"
		}
		g.far.write(answerTo(msg, "200 OK", "c", contact+"Expires: 3600\r\n", nil), from)
	default: // BYE, OPTIONS
		g.far.write(answerTo(msg, "200 OK", "c", "", nil), from)
	}
	return true
}

func (g *rig) pickUp(now time.Time, id string, msg []byte, from unix.Sockaddr) {
	if c := g.taken[id]; c != nil { // repeated
		g.far.write(c.ok, from)
		return
	}
	tag := strconv.Itoa(len(g.taken)) + "c" + strconv.FormatInt(now.UnixNano(), 36)
	contact := "Contact: <sip:cloud@" + g.far.local.String() + ">\r\n"
	g.far.write(answerTo(msg, "180 Ringing", tag, contact, nil), from)
	answer := g.answers[0]
	if bytes.Contains(body(msg), []byte("RTP/SAVP")) {
		answer = g.answers[1]
	}
	c := &incoming{ok: answerTo(msg, "200 OK", tag, contact+"Content-Type: application/sdp\r\n", answer)}
	g.taken[id] = c
	g.far.write(c.ok, from)
	g.repeat(now, c, from, rigT1)
	g.after(now, takenFor, func(time.Time) { delete(g.taken, id) })
}

// repeat sends the 200 until its ACK comes (RFC 3261 13.3.1.4).
func (g *rig) repeat(now time.Time, c *incoming, to unix.Sockaddr, wait time.Duration) {
	g.after(now, wait, func(now time.Time) {
		if c.acked || wait > rigPatience {
			return
		}
		g.present.Repeats++
		g.far.write(c.ok, to)
		g.repeat(now, c, to, min(2*wait, rigT2))
	})
}
