package call

import (
	"strconv"
	"strings"
	"time"

	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

// permission is what a peer has said of a method.
type permission uint8

const (
	unsaid permission = iota
	allowed
	denied
)

// learn reads the Allow of a message; without one what was said before stands.
func (p permission) learn(msg sip.Message) permission {
	switch {
	case len(msg.GetHeaders("allow")) == 0:
		return p
	case allows(msg, sip.INFO):
		return allowed
	}
	return denied
}

// The bodies of a key press in INFO: the first is that of most phones.
const (
	dtmfRelay = "application/dtmf-relay"
	dtmf      = "application/dtmf"
)

// A press whose INFO names no length, and bounds for one that does.
const (
	usualPress    = 160 * time.Millisecond
	shortestPress = 40 * time.Millisecond
	longestPress  = 10 * time.Second
)

// TakesInfo says whether the peer of a leg can be told of key presses by INFO.
func (m *Machine) TakesInfo(id LegID) bool {
	l := m.leg(id)
	return l != nil && l.talk != nil && l.info == allowed && !m.through(l)
}

// informed handles INFO: a key press goes by way of the relay, which knows how the
// other side wants it, and whether it has come in the media as well; all else is
// carried across, and so is a press for a peer of which nothing is known.
func (m *Machine) informed(l *leg, in Request) {
	other := m.peer(l)
	key, length, ok := pressOf(in.Req)
	if !ok || other == nil || !other.live() || m.through(l) || m.through(other) || other.info == unsaid && !events(other.agreed()) {
		m.carry(l, in)
		return
	}
	m.do(Press{Leg: l.id, Key: key, Length: length})
	m.reply(l, in.Tx, in.Req, 200, "OK", nil)
}

// events says whether key presses were agreed on as telephone-event.
func events(s *sdp.Session) bool {
	if s == nil || s.Audio() == nil {
		return false
	}
	for _, f := range s.Audio().Formats {
		if strings.EqualFold(f.Name, "telephone-event") {
			return true
		}
	}
	return false
}

// pressOf reads the key press in an INFO.
func pressOf(req *sip.Request) (key byte, length time.Duration, ok bool) {
	ct := req.ContentType()
	if ct == nil {
		return 0, 0, false
	}
	kind, _, _ := strings.Cut(ct.Value(), ";")
	body := string(req.Body())
	signal := strings.TrimSpace(body)
	length = usualPress
	switch strings.ToLower(strings.TrimSpace(kind)) {
	case dtmfRelay:
		signal = ""
		for line := range strings.SplitSeq(body, "\n") {
			name, value, _ := strings.Cut(line, "=")
			value = strings.TrimSpace(value)
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "signal":
				signal = value
			case "duration":
				if n, err := strconv.ParseUint(value, 10, 32); err == nil {
					length = min(max(time.Duration(n)*time.Millisecond, shortestPress), longestPress)
				}
			}
		}
	case dtmf:
	default:
		return 0, 0, false
	}
	key, ok = keyOf(signal)
	return key, length, ok
}

// keyOf reads a key: its sign, or the number of its event.
func keyOf(signal string) (byte, bool) {
	const keys = "0123456789*#ABCD!"
	if len(signal) == 1 {
		signal = strings.ToUpper(signal)
		return signal[0], strings.Contains(keys, signal)
	}
	n, err := strconv.ParseUint(signal, 10, 8)
	if err != nil || int(n) >= len(keys) {
		return 0, false
	}
	return keys[n], true
}

// maxPresses bounds the key presses that wait for the INFO before them to be
// answered: two at a time might overtake each other, and the second be refused.
const maxPresses = 32

// digit tells a leg's peer of a key press by INFO.
func (m *Machine) digit(in Digit) {
	l := m.leg(in.Leg)
	if l == nil || l.talk == nil || l.stage != confirmed || m.end != nil || len(l.presses) >= maxPresses {
		return
	}
	l.presses = append(l.presses, in)
	if len(l.presses) == 1 {
		m.press(l)
	}
}

// press sends the first key press that waits.
func (m *Machine) press(l *leg) {
	p := l.presses[0]
	body := "Signal=" + string(rune(p.Key)) + "\r\nDuration=" + strconv.FormatInt(p.Length.Milliseconds(), 10) + "\r\n"
	m.send(l, &ask{purpose: forInfo, method: sip.INFO, body: []byte(body), ctype: dtmfRelay})
}

// pressTold handles the answer to such an INFO, 408 where there is none. A peer that
// does not want it is sent no further one once its session is agreed on anew.
func (m *Machine) pressTold(l *leg, code int) {
	switch code {
	case 405, 415, 501:
		l.info, l.presses = denied, nil
	}
	if len(l.presses) > 0 {
		l.presses = l.presses[1:]
	}
	if len(l.presses) > 0 && l.stage == confirmed && m.end == nil {
		m.press(l)
	}
}
