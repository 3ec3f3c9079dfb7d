package sdp

import (
	"fmt"
	"strings"
)

// maxCarried bounds the attributes that are kept of one section.
const maxCarried = 24

// fax says whether a section is T.38 over UDPTL (ITU-T T.38 Annex D).
func (m *Media) fax() bool {
	return m.Kind == "image" && strings.EqualFold(m.Proto, "udptl") && len(m.List) > 0 && strings.EqualFold(m.List[0], "t38")
}

// carry keeps an attribute that the other leg shall see: speed, error correction
// and buffers of T.38 are matters of the two fax machines.
func (m *Media) carry(name, line string) {
	switch {
	case m.Kind == "image" && strings.HasPrefix(name, "t38"):
	case m.Kind == "audio" && (name == "silencesupp" || name == "ecan"):
	default:
		return
	}
	if len(m.Carried) < maxCarried && printable(line) {
		m.Carried = append(m.Carried, line)
	}
}

func printable(line string) bool {
	for i := range len(line) {
		if line[i] < ' ' || line[i] > '~' {
			return false
		}
	}
	return true
}

// quiet asks for a channel that a fax or a modem gets through (RFC 3108 5.6.2.8 and
// 5.6.2.10): nobody may leave out silence or cancel echoes.
func quiet(m *Media) {
	for _, line := range [...]string{"silenceSupp:off - - - -", "ecan:fb off -"} {
		name, _, _ := strings.Cut(line, ":")
		has := false
		for _, c := range m.Carried {
			has = has || len(c) > len(name) && strings.EqualFold(c[:len(name)+1], name+":")
		}
		if !has {
			m.Carried = append(m.Carried, line)
		}
	}
}

// barsFax says why there can be no fax: UDPTL has no encryption, and ours no ICE.
func (l *Local) barsFax() error {
	switch {
	case l.SRTP == Required:
		return fmt.Errorf("fax: %w", ErrSRTP)
	case l.ICE == ICERequired:
		return fmt.Errorf("fax: %w", ErrICE)
	}
	return nil
}

// fax is our description of a fax, out of the other leg's.
func (l *Local) fax(of *Media) (Media, error) {
	if err := l.barsFax(); err != nil {
		return Media{}, err
	}
	return Media{Kind: "image", Proto: of.Proto, List: of.List, Direction: of.Effective(), Carried: of.Carried}, nil
}

// answerFax makes our answer to a leg's offer of a fax that the other leg has taken.
func (l *Local) answerFax(offer, from *Session) (*Session, error) {
	for i := range offer.Media {
		theirs := &offer.Media[i]
		if theirs.Port == 0 || !theirs.fax() {
			continue
		}
		m, err := l.fax(from.Image())
		if err != nil {
			return nil, err
		}
		m.Proto, m.List = theirs.Proto, theirs.List
		l.slot = i
		return l.describe(layoutOf(offer.Media), m, offer.Time), nil
	}
	return nil, fmt.Errorf("answer: %w: a fax was not offered", ErrNoCodec)
}

// Withdraw takes back the last description, an offer that was refused; was is the
// end as it was before. The version of o= goes on.
func (l *Local) Withdraw(was Local) {
	was.Version = l.Version
	*l = was
}
