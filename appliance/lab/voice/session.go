package voice

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"linekeeper/appliance/lab/tone"
)

// Security is what an end wants of its stream.
type Security uint8

// The three policies: plain RTP; SRTP offered beside RTP (RFC 8643); nothing but SRTP.
const (
	Plain Security = iota
	Opportunistic
	Required
)

// ErrNotAcceptable is an offer or answer that this end cannot live with (SIP 488).
var ErrNotAcceptable = errors.New("media not acceptable here")

// Terms are what an end is willing to talk.
type Terms struct {
	Security Security
	Suites   []Suite    // best first; empty: SHA1_80, GCM
	Codecs   []tone.Law // best first; empty: A, Mu
}

// Deal is the outcome of an offer and its answer for one side.
type Deal struct {
	Remote     netip.AddrPort
	Law        tone.Law
	Send, Recv bool
	Out, In    *Crypto // nil: plain RTP
}

// Session holds one side of an SDP offer/answer exchange (RFC 3264). It is for one goroutine.
type Session struct {
	terms   Terms
	local   netip.AddrPort
	id      uint64
	version uint64
	ours    []Crypto // one for each suite, kept through re-offers
	hold    bool
}

// NewSession starts a session whose media comes in at local.
func NewSession(terms Terms, local netip.AddrPort) (*Session, error) {
	if len(terms.Suites) == 0 {
		terms.Suites = []Suite{SHA1_80, GCM}
	}
	if len(terms.Codecs) == 0 {
		terms.Codecs = []tone.Law{tone.A, tone.Mu}
	}
	s := &Session{terms: terms, local: local}
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, err
	}
	s.id = binary.BigEndian.Uint64(id[:]) >> 2
	if terms.Security == Plain {
		return s, nil
	}
	for i, suite := range terms.Suites {
		c, err := newCrypto(i+1, suite)
		if err != nil {
			return nil, err
		}
		s.ours = append(s.ours, c)
	}
	return s, nil
}

// Hold sets whether the next offers and answers put the other side on hold.
func (s *Session) Hold(on bool) { s.hold = on }

// Offer is the text of a new offer.
func (s *Session) Offer() []byte {
	payloads := make([]uint8, 0, len(s.terms.Codecs))
	for _, c := range s.terms.Codecs {
		payloads = append(payloads, uint8(c))
	}
	st := Stream{Remote: s.local, Profile: "RTP/AVP", Payloads: payloads, Events: 101, Cryptos: s.ours, Direction: SendRecv}
	if s.terms.Security == Required {
		st.Profile = "RTP/SAVP"
	}
	if s.hold {
		st.Direction = SendOnly
	}
	return s.text([]string{""}, 0, st)
}

// Answer reads an offer and gives the text of the answer. ErrNotAcceptable: 488.
func (s *Session) Answer(offer []byte) ([]byte, Deal, error) {
	d, err := Parse(offer)
	if err != nil {
		return nil, Deal{}, err
	}
	law, err := s.codec(d.Audio.Payloads)
	if err != nil {
		return nil, Deal{}, err
	}
	deal := Deal{Remote: d.Audio.Remote, Law: law}
	answer := Stream{Remote: s.local, Profile: d.Audio.Profile, Payloads: []uint8{uint8(law)}, Events: d.Audio.Events}
	if deal.Out, deal.In, err = s.keys(&d.Audio); err != nil {
		return nil, Deal{}, err
	}
	if deal.Out != nil {
		answer.Cryptos = []Crypto{{Tag: deal.In.Tag, Suite: deal.Out.Suite, Key: deal.Out.Key}}
	}
	answer.Direction = d.Audio.Direction.Mirror()
	if s.hold {
		answer.Direction = held(answer.Direction)
	}
	deal.Send, deal.Recv = answer.Direction.Sends(), answer.Direction.Receives()
	return s.text(d.lines, d.audioAt, answer), deal, nil
}

// Accept reads the answer to the last offer.
func (s *Session) Accept(answer []byte) (Deal, error) {
	d, err := Parse(answer)
	if err != nil {
		return Deal{}, err
	}
	a := &d.Audio
	if a.Remote.Port() == 0 {
		return Deal{}, fmt.Errorf("%w: audio refused by the answer", ErrNotAcceptable)
	}
	law, err := s.codec(a.Payloads)
	if err != nil {
		return Deal{}, err
	}
	deal := Deal{Remote: a.Remote, Law: law, Send: a.Direction.Receives(), Recv: a.Direction.Sends()}
	if s.hold {
		deal.Recv = false
	}
	switch {
	case len(a.Cryptos) > 0 && len(s.ours) > 0:
		i := slices.IndexFunc(s.ours, func(c Crypto) bool { return c.Tag == a.Cryptos[0].Tag && c.Suite == a.Cryptos[0].Suite })
		if i < 0 {
			return Deal{}, fmt.Errorf("%w: answer takes crypto tag %d %s, which was not offered", ErrNotAcceptable, a.Cryptos[0].Tag, a.Cryptos[0].Suite)
		}
		deal.Out, deal.In = &s.ours[i], &a.Cryptos[0]
	case s.terms.Security == Required || strings.HasPrefix(a.Profile, "RTP/SAVP"):
		return Deal{}, fmt.Errorf("%w: answer without a usable key", ErrNotAcceptable)
	}
	return deal, nil
}

func held(d Direction) Direction {
	switch d {
	case SendRecv, SendOnly:
		return SendOnly
	case RecvOnly, Inactive:
	}
	return Inactive
}

// codec is the first payload type of the other side that we speak too.
func (s *Session) codec(payloads []uint8) (tone.Law, error) {
	for _, p := range payloads {
		if slices.Contains(s.terms.Codecs, tone.Law(p)) {
			return tone.Law(p), nil
		}
	}
	return 0, fmt.Errorf("%w: no common codec in %v", ErrNotAcceptable, payloads)
}

// keys picks our key and theirs for an offered stream.
func (s *Session) keys(offer *Stream) (out, in *Crypto, err error) {
	secure := strings.HasPrefix(offer.Profile, "RTP/SAVP")
	if s.terms.Security == Plain {
		if secure {
			return nil, nil, fmt.Errorf("%w: SRTP offered to a plain end", ErrNotAcceptable)
		}
		return nil, nil, nil
	}
	for i := range offer.Cryptos {
		for j := range s.ours {
			if s.ours[j].Suite == offer.Cryptos[i].Suite {
				return &s.ours[j], &offer.Cryptos[i], nil
			}
		}
	}
	if secure || s.terms.Security == Required {
		return nil, nil, fmt.Errorf("%w: SRTP is required and the offer has no usable key", ErrNotAcceptable)
	}
	return nil, nil, nil
}

// text writes the description; every m-line but the audio one is refused with port 0.
func (s *Session) text(lines []string, audioAt int, st Stream) []byte {
	s.version++
	var b strings.Builder
	family := "IP4"
	if st.Remote.Addr().Is6() {
		family = "IP6"
	}
	fmt.Fprintf(&b, "v=0\r\no=- %d %d IN %s %s\r\ns=-\r\nc=IN %s %s\r\nt=0 0\r\n", s.id, s.version, family, st.Remote.Addr(), family, st.Remote.Addr())
	for i, line := range lines {
		if i != audioAt {
			f := strings.Fields(line)
			f[1] = "0"
			fmt.Fprintf(&b, "m=%s\r\n", strings.Join(f, " "))
			continue
		}
		st.write(&b)
	}
	return []byte(b.String())
}

func (s *Stream) write(b *strings.Builder) {
	fmt.Fprintf(b, "m=audio %d %s", s.Remote.Port(), s.Profile)
	for _, p := range s.Payloads {
		fmt.Fprintf(b, " %d", p)
	}
	if s.Events != 0 {
		fmt.Fprintf(b, " %d", s.Events)
	}
	b.WriteString("\r\n")
	for _, p := range s.Payloads {
		fmt.Fprintf(b, "a=rtpmap:%d %s/8000\r\n", p, tone.Law(p))
	}
	if s.Events != 0 {
		fmt.Fprintf(b, "a=rtpmap:%d telephone-event/8000\r\na=fmtp:%d 0-15\r\n", s.Events, s.Events)
	}
	for _, c := range s.Cryptos {
		fmt.Fprintf(b, "a=crypto:%s\r\n", c)
	}
	fmt.Fprintf(b, "a=ptime:20\r\na=%s\r\n", s.Direction)
}
