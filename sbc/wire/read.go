package wire

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"linekeeper/sbc/sip"
)

// patience is what a reader knows about its peer's timeliness.
type patience struct {
	begun    time.Time // first octet of a message that has not ended
	heard    time.Time // last octet
	pinged   time.Time // our unanswered keep-alive
	answers  bool      // the peer has answered one before
	greeted  bool      // a whole message has come
	accepted time.Time
}

// read hands up messages until the connection ends.
func (c *conn) read(sock net.Conn) {
	w := c.zone.wire
	now := time.Now()
	p := patience{heard: now, accepted: now}
	var stream sip.Stream
	buffer := make([]byte, readChunk)
	for !c.ended() {
		if err := sock.SetReadDeadline(c.until(&p)); err != nil {
			c.fail(err)
			return
		}
		if c.ended() {
			return
		}
		n, err := sock.Read(buffer)
		now = time.Now()
		if n > 0 {
			p.heard = now
			if !p.pinged.IsZero() {
				p.answers, p.pinged = true, time.Time{}
			}
			if !c.admit(now) || !c.feed(&stream, buffer[:n], &p) {
				return
			}
			switch {
			case !stream.Partial():
				p.begun = time.Time{}
			case p.begun.IsZero():
				p.begun = now
			}
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			c.fail(fmt.Errorf("read from %s: %w", c.flow.Remote, err))
			return
		}
		if cause := c.overdue(&p, now); cause != nil {
			if errors.Is(cause, ErrHalf) {
				w.guard.garbage(c.flow.Remote.Addr())
			}
			c.fail(cause)
			return
		}
	}
}

// admit lets an accepted peer be heard. One that sends faster than the guard
// allows is read more slowly, so that TCP holds it back; one that the guard
// does not want is closed.
func (c *conn) admit(now time.Time) bool {
	if c.dialled {
		return true
	}
	for {
		switch c.zone.wire.guard.Admit(c.flow.Remote.Addr(), now) {
		case Admitted:
			return true
		case Rate:
			wait := time.NewTimer(20 * time.Millisecond)
			select {
			case <-wait.C:
			case <-c.life.Done():
				wait.Stop()
				return false
			}
			now = time.Now()
		default:
			c.fail(fmt.Errorf("peer is not wanted: %w", ErrGone))
			return false
		}
	}
}

// feed cuts octets into messages; false once message borders are lost.
func (c *conn) feed(stream *sip.Stream, data []byte, p *patience) bool {
	w := c.zone.wire
	for {
		messages, err := stream.Feed(data)
		data = nil
		for n := stream.Pings(); n > 0; n-- {
			if !c.dialled {
				_ = c.send([]byte("\r\n")) // a full queue needs no pong
				break
			}
		}
		var reject *sip.Reject
		faulty := err != nil && errors.As(err, &reject) && len(messages) > 0
		for i, m := range messages {
			if w.tap.Load() != nil {
				w.observe(In, c.flow, sip.Bytes(m))
			}
			if faulty && i == len(messages)-1 {
				w.malformed(m, c.flow, err)
				continue
			}
			p.greeted, p.begun = true, time.Time{}
			c.greeted.Store(true)
			w.deliver(m, c.flow, false)
		}
		if err == nil {
			return true
		}
		if !faulty {
			w.malformed(nil, c.flow, err)
			c.flush() // the good messages before it have their answers
			c.fail(fmt.Errorf("%w: %w", ErrFraming, err))
			return false
		}
	}
}

// until is the moment at which the reader must look up.
func (c *conn) until(p *patience) time.Time {
	l := c.zone.wire.limits
	if !p.begun.IsZero() {
		return p.begun.Add(l.Half)
	}
	if !c.dialled {
		if !p.greeted {
			return p.accepted.Add(l.Greeting)
		}
		return p.heard.Add(l.Idle)
	}
	every := c.zone.config().KeepAlive
	if !p.pinged.IsZero() && p.answers {
		return p.pinged.Add(l.Pong)
	}
	if every <= 0 {
		return time.Time{}
	}
	return time.Now().Add(every)
}

// overdue says why the connection must end, or sends the keep-alive that was
// due.
func (c *conn) overdue(p *patience, now time.Time) error {
	l := c.zone.wire.limits
	switch {
	case !p.begun.IsZero():
		return ErrHalf
	case !c.dialled:
		return ErrIdle
	case !p.pinged.IsZero() && p.answers && now.Sub(p.pinged) >= l.Pong:
		return fmt.Errorf("keep-alive not answered: %w", ErrIdle)
	}
	if err := c.send([]byte(doubleCRLF)); err != nil && !errors.Is(err, ErrBusy) {
		return err
	}
	p.pinged = now
	return nil
}
