package sdp

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Policy says what a side does about SRTP.
type Policy uint8

// The policies.
const (
	// Off offers and accepts plain RTP only.
	Off Policy = iota
	// Preferred offers RTP/AVP with keys (RFC 8643) and accepts both.
	Preferred
	// Required offers RTP/SAVP and never sends a packet in the clear.
	Required
)

// Errors of offer and answer. All but ErrAddress and ErrKeys are a 488 toward the peer.
var (
	// ErrNoCodec says that the sides share no codec, or no audio at all.
	ErrNoCodec = errors.New("no common codec")
	// ErrSRTP says that the peer's encryption does not fit our policy: plain
	// where SRTP is required, SRTP where it is off, or no common suite.
	ErrSRTP = errors.New("no acceptable media encryption")
	// ErrICE says that the peer shows no candidates that we could check, where ICE is required.
	ErrICE = errors.New("no usable ICE candidates")
	// ErrAnswer says that an answer does not fit the offer.
	ErrAnswer = errors.New("answer does not match the offer")
	// ErrAddress says that the peer's media address is unusable, a host name say.
	ErrAddress = errors.New("unusable media address")
	// ErrKeys says that Local.Keys is shorter than 16 bytes though a key is due.
	ErrKeys = errors.New("fewer than 16 random bytes for media keys")
)

// Warning is the warn-code and text that tell a peer what does not fit (RFC 3261
// 20.43, which has none for ICE); 0: nothing to tell.
func Warning(err error) (code int, text string) {
	switch {
	case errors.Is(err, ErrICE):
		return 399, "ICE candidates are required"
	case errors.Is(err, ErrSRTP):
		return 302, "Incompatible transport protocol: media encryption"
	case errors.Is(err, ErrNoCodec):
		return 305, "Incompatible media format"
	}
	return 0, ""
}

// Local is our own end of one leg: fill in the exported fields once, keep it
// for the life of the leg. It remembers what the leg has agreed on: order of
// sections, payload numbers, the version of o=. Not for concurrent use.
type Local struct {
	// Addr and Port are where we receive RTP; RTCP goes to Port+1.
	Addr netip.Addr
	Port uint16
	// SessionID and Version are those of o=; Version counts itself up when the text changes.
	SessionID, Version uint64
	SRTP               Policy
	// Suites are the ones we accept, best first; empty: all that we know, of which
	// Preferred offers the first two.
	Suites []Suite
	// Keys is a seed of at least 16 (better 32) random bytes, secret and its own for each
	// leg. Each suite and address has its own key out of it, so a refresh
	// repeats the key and a new address or a new seed brings a new one.
	Keys Secret
	// Codecs filters by encoding name and orders what we offer; empty: as they come.
	Codecs []string
	// Convert says that the relay can make G.711 and G.722 of each other, and key
	// presses of either form: they are offered where the other leg has but another
	// one. Wide offers all of them: the peer has refused what the other leg has.
	// Presses does so with the key presses alone.
	Convert, Wide, Presses bool
	// NoFax says that T.38 was refused: speech may have to carry a fax, so silence
	// and echoes are to be left as they are.
	NoFax bool
	// Mux offers rtcp-mux (RFC 5761); with DTLS or ICE it is always offered.
	// Offered to us it is always accepted.
	Mux bool
	// Certificate is the fingerprint of ours; zero: no DTLS-SRTP. DTLS offers keys
	// by it instead of SDES, and prefers it in an offer that has both. Sole takes keys
	// in no other way than it offers them.
	Certificate Fingerprint
	DTLS, Sole  bool
	// ICE says what is done about candidates. Public is our address as a STUN
	// server saw it, for the second candidate, Relayed our RTP's at a TURN server, for
	// the third; invalid: not known.
	ICE     ICEPolicy
	Public  netip.Addr
	Relayed netip.AddrPort

	last    Secret     // hash of our last description, version left out
	layout  []place    // sections of the leg
	slot    int        // our audio in layout
	setup   Setup      // our part in the DTLS association; "": none yet
	ice     iceSession // as far as there is one
	numbers []Format   // payload numbers of the leg; a number never changes its meaning (RFC 3264 8.3.2)
}

// Offer makes our offer to this leg out of what the other leg described; with
// nil everything that Codecs allows (late offer, or the box itself calling).
// The error is ErrNoCodec or ErrKeys.
func (l *Local) Offer(from *Session) (*Session, error) {
	if from != nil && from.Fax() {
		m, err := l.fax(from.Image())
		if err != nil {
			return nil, err
		}
		return l.offer(m), nil
	}
	m := Media{Kind: "audio", Direction: SendRecv, Mux: l.Mux}
	formats := own(l.Codecs)
	if from != nil {
		a := from.Audio()
		if a == nil {
			return nil, fmt.Errorf("offer: %w: no audio described", ErrNoCodec)
		}
		formats = l.widen(allowed(a.Formats, l.Codecs, true), a.Formats)
		m.Direction, m.Ptime, m.MaxPtime, m.Carried = a.Effective(), a.Ptime, a.MaxPtime, slices.Clone(a.Carried)
	}
	formats = carried(formats)
	if len(formats) == 0 {
		return nil, fmt.Errorf("offer: %w", ErrNoCodec)
	}
	for _, f := range formats {
		m.Formats = append(m.Formats, l.numbered(f))
	}
	if err := l.secure(&m); err != nil {
		return nil, err
	}
	if l.ICE.Full() || l.ICE == ICELite && l.ice.peer != "" { // a session goes on (RFC 8839 4.4.1.1.2)
		var err error
		if m.Mux = true; l.ice.peer == "" {
			l.ice.offered = true
		}
		if m.ICE, err = l.iceOf(false); err != nil { // the peer may not know mux
			return nil, err
		}
	}
	if l.NoFax {
		quiet(&m)
	}
	return l.offer(m), nil
}

// offer puts a section in the place that the leg has for its kind, else in that of
// what it replaces (RFC 3264 8.3.3).
func (l *Local) offer(m Media) *Session {
	switch i := slices.IndexFunc(l.layout, func(o place) bool { return o.kind == m.Kind }); {
	case len(l.layout) == 0:
		l.slot = 0
	case i >= 0 && l.layout[min(l.slot, len(l.layout)-1)].kind != m.Kind:
		l.slot = i
	}
	return l.describe(l.layout, m, "0 0")
}

// secure puts into our offer how its media may be encrypted.
func (l *Local) secure(m *Media) error {
	m.Proto = "RTP/AVP"
	switch {
	case l.SRTP == Off:
		return nil
	case l.SRTP == Required && l.DTLS:
		m.Proto = "UDP/TLS/RTP/SAVP"
	case l.SRTP == Required:
		m.Proto = "RTP/SAVP"
	}
	if l.DTLS {
		m.Fingerprints, m.Setup, m.Mux = []Fingerprint{l.Certificate}, ActPass, true
		return nil
	}
	var err error
	m.Crypto, err = l.cryptos(1, l.offered()...)
	return err
}

// cryptos are lines of ours for the suites, tagged from one number on.
func (l *Local) cryptos(tag int, suites ...Suite) ([]Crypto, error) {
	all, err := l.derive()
	if err != nil {
		return nil, err
	}
	out := make([]Crypto, 0, len(suites))
	for i, s := range suites {
		k, err := keyOf(all, s)
		if err != nil {
			return nil, err
		}
		out = append(out, Crypto{Tag: tag + i, Key: k, Keys: 1})
	}
	return out, nil
}

// Answer makes our answer to this leg's offer out of the other leg's answer;
// with from nil the box answers by itself, for an announcement say. Sections
// that we don't take are refused with port 0 (RFC 3264 6). The error is
// ErrNoCodec, ErrSRTP or ErrKeys.
func (l *Local) Answer(offer, from *Session) (*Session, error) {
	if from != nil && from.Fax() {
		return l.answerFax(offer, from)
	}
	i, crypto, dtls, err := l.choose(offer)
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	theirs := &offer.Media[i]
	m := Media{Kind: "audio", Proto: theirs.Proto, Mux: theirs.Mux, Direction: theirs.Effective().Reverse(), Ptime: theirs.Ptime, MaxPtime: theirs.MaxPtime, XR: theirs.XR}
	var formats []Format
	if from == nil {
		formats = ownShare(theirs.Formats, l.Codecs)
	} else {
		a := from.Audio()
		if a == nil {
			return nil, fmt.Errorf("answer: %w: the other leg has no audio", ErrNoCodec)
		}
		m.Direction &= a.Effective()
		m.Carried = slices.Clone(a.Carried)
		formats = l.adopt(common(a.Formats, theirs.Formats), a.Formats, theirs.Formats)
		if a.Ptime > 0 {
			m.Ptime, m.MaxPtime = a.Ptime, a.MaxPtime
		}
	}
	if m.Formats = carried(allowed(formats, l.Codecs, false)); len(m.Formats) == 0 {
		return nil, fmt.Errorf("answer: %w", ErrNoCodec)
	}
	switch {
	case dtls:
		m.Fingerprints, m.Setup = []Fingerprint{l.Certificate}, l.role(theirs.Setup)
	case crypto != nil:
		if m.Crypto, err = l.cryptos(crypto.Tag, crypto.Key.Suite); err != nil {
			return nil, err
		}
	}
	if l.checkable(theirs) {
		l.meet(theirs)
		if m.ICE, err = l.iceOf(m.Mux); err != nil {
			return nil, err
		}
	}
	if l.NoFax {
		quiet(&m)
	}
	l.learn(theirs.Formats)
	l.slot = i
	return l.describe(layoutOf(offer.Media), m, offer.Time), nil
}

// Refuses says why we will not answer an offer, whatever the other leg may say to
// it: ErrSRTP or ErrICE. nil: our side of it is acceptable.
func (l *Local) Refuses(offer *Session) error {
	if offer.Fax() {
		return l.barsFax()
	}
	if _, _, _, err := l.choose(offer); errors.Is(err, ErrSRTP) || errors.Is(err, ErrICE) {
		return err
	}
	return nil
}

// common are the formats of the other leg's answer that this leg offered, with
// this leg's numbers and in the order of the answer, so that both ends prefer the same codec.
func common(answer, offer []Format) []Format {
	var out []Format
	for _, f := range answer {
		g, ok := find(offer, f)
		if !ok || has(out, g.Number) {
			continue
		}
		if f.Params != "" {
			g.Params = f.Params
		}
		out = append(out, g)
	}
	return out
}

// ownShare are the offered formats that the box itself could speak.
func ownShare(offer []Format, codecs []string) []Format {
	var out []Format
	for _, f := range offer {
		if _, ok := find(own(codecs), f); ok {
			out = append(out, f)
		}
	}
	return out
}

func has(list []Format, n uint8) bool {
	for _, f := range list {
		if f.Number == n {
			return true
		}
	}
	return false
}

// choose picks the first audio section of the offer that our policy allows, and
// how it is encrypted: phones offer SAVP and AVP side by side.
func (l *Local) choose(offer *Session) (section int, crypto *Crypto, dtls bool, err error) {
	err = ErrNoCodec
	for i := range offer.Media {
		m := &offer.Media[i]
		if m.Kind != "audio" || m.Port == 0 || !m.rtp() {
			continue
		}
		if l.ICE == ICERequired && !l.checkable(m) {
			err = ErrICE
			continue
		}
		err = ErrSRTP
		crypto = l.pick(m)
		dtls = l.SRTP != Off && l.Certificate != Fingerprint{} && m.byDTLS() && (l.DTLS || !l.Sole)
		if dtls && crypto != nil && m.plain() && !l.DTLS {
			dtls = false // best effort with both: ours is SDES
		}
		switch {
		case dtls:
			return i, nil, true, nil
		case crypto != nil && (m.sdes() || m.plain()):
			return i, crypto, false, nil
		case m.plain() && l.SRTP != Required:
			return i, nil, false, nil
		}
	}
	return 0, nil, false, err
}

// pick is the first crypto line that we can do; nil: none, or SRTP is off.
func (l *Local) pick(m *Media) *Crypto {
	for j := range m.Crypto {
		if l.SRTP != Off && !(l.DTLS && l.Sole) && m.Crypto[j].usable(l.suites()) {
			return &m.Crypto[j]
		}
	}
	return nil
}

// describe puts our section in its place among the leg's and sets the version.
func (l *Local) describe(layout []place, m Media, time string) *Session {
	if m.Port == 0 { // else it is somebody else's: see Direct
		m.Port, m.Addr = l.Port, l.Addr
	}
	s := &Session{Origin: Origin{User: "-", ID: l.SessionID, Addr: l.Addr}, Name: "-", Time: time}
	for _, o := range layout {
		s.Media = append(s.Media, Media{Kind: o.kind, Proto: o.proto, List: o.list})
	}
	if l.slot >= len(s.Media) {
		s.Media = append(s.Media, Media{})
		l.slot = len(s.Media) - 1
	}
	s.Media[l.slot] = m
	l.layout = layoutOf(s.Media)
	text := sha256.Sum256(s.Bytes())
	if len(l.last) != 0 && string(l.last) != string(text[:]) {
		l.Version++
	}
	l.last = text[:]
	s.Origin.Version = l.Version
	return s
}

// place is what a refusal repeats of a section, and no key.
type place struct {
	kind, proto string
	list        []string
}

func layoutOf(media []Media) []place {
	out := make([]place, len(media))
	for i := range media {
		out[i] = place{media[i].Kind, media[i].Proto, media[i].List}
	}
	return out
}

// numbered gives a format the number that it has on this leg, its own number
// if that is free here, or a free dynamic one.
func (l *Local) numbered(f Format) Format {
	if g, ok := find(l.numbers, f); ok && (g.Params == f.Params || !l.sibling(f)) {
		f.Number = g.Number
		return f
	}
	for n := uint8(96); has(l.numbers, f.Number) && n < 128; n++ {
		f.Number = n
	}
	l.learn([]Format{f})
	return f
}

// sibling says whether the leg knows several variants of one encoding (AMR
// with and without octet-align), which only their parameters tell apart.
func (l *Local) sibling(f Format) bool {
	n := 0
	for _, g := range l.numbers {
		if g.Same(f) {
			n++
		}
	}
	return n > 1
}

// learn remembers the numbers of the peer's formats; the newest meaning wins.
func (l *Local) learn(formats []Format) {
	out := append([]Format(nil), formats...)
	for _, f := range l.numbers {
		if !has(out, f.Number) && len(out) < 2*MaxFormats {
			out = append(out, f)
		}
	}
	l.numbers = out
}

func (l *Local) suites() []Suite {
	if len(l.Suites) == 0 {
		return allSuites[:]
	}
	return l.Suites
}

// How many suites an offer brings at most, where the side names none: requests go
// by UDP too, where a message has room for 1300 octets. A best-effort offer goes to
// phones; any suite of an offer to us is taken.
const (
	mostSuites = 3
	besteffort = 2
)

// offered are the suites that an offer of ours brings.
func (l *Local) offered() []Suite {
	switch {
	case len(l.Suites) > 0:
		return l.Suites
	case l.SRTP == Preferred:
		return allSuites[:besteffort]
	}
	return allSuites[:mostSuites]
}

// derive makes our sending keys of all suites at our present address, one after the
// other (RFC 4568 7.1.4: a new transport address wants new keys). They are not kept:
// whoever prints a Local must not see them.
func (l *Local) derive() (Secret, error) {
	if len(l.Keys) < 16 {
		return nil, ErrKeys
	}
	all, err := hkdf.Key(sha256.New, l.Keys, nil, "linekeeper sdes "+netip.AddrPortFrom(l.Addr, l.Port).String(), allKeys())
	if err != nil {
		return nil, fmt.Errorf("derive media keys: %w", err)
	}
	return all, nil
}

// keyOf is a suite's key among those that were derived.
func keyOf(all Secret, s Suite) (Key, error) {
	from := 0
	for _, t := range allSuites {
		n := t.KeyLen() + t.SaltLen()
		if t == s {
			return Key{Suite: s, Material: slices.Clone(all[from : from+n])}, nil
		}
		from += n
	}
	return Key{}, fmt.Errorf("media key of %q: %w", s, ErrSRTP)
}

// allKeys is how many octets keys and salts of all suites have together.
func allKeys() int {
	n := 0
	for _, s := range allSuites {
		n += s.KeyLen() + s.SaltLen()
	}
	return n
}
