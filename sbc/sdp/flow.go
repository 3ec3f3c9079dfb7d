package sdp

import (
	"fmt"
	"net/netip"
)

// Flow is what the media engine must do on one leg.
type Flow struct {
	// Remote and RemoteRTCP are the signalled addresses of the peer. Remote is
	// unspecified (0.0.0.0) for the old form of hold.
	Remote, RemoteRTCP netip.AddrPort
	// UDPTL says that this is a fax (T.38): datagrams of our RTP port are passed on
	// as they are, and nothing below holds but Send and Recv.
	UDPTL bool
	// Mux says that RTP and RTCP share our RTP port.
	Mux bool
	// Send says that the peer wants to hear us, Recv that we expect to hear it.
	Send, Recv bool
	// Out protects what we send, In is the peer's key; nil: plain RTP, or the keys
	// come by the DTLS handshake.
	Out, In *Key
	DTLS    *Handshake
	// ICE says that the path is found by checks; nil: Remote is it.
	ICE *Checks
	// Formats are the payload types in use, the first is preferred.
	Formats []FlowFormat
	// Info says that the peer takes key presses by SIP INFO, for where it knows no
	// telephone-event.
	Info bool
	// Ptime is what the peer wants, in milliseconds; 0: not said (20).
	Ptime int
	// XR are the extended reports that the peer wants.
	XR XR
}

// FlowFormat is one payload type of a leg. The sides may number it
// differently: each sends with the number that the other described (RFC 3264 5.1).
type FlowFormat struct {
	// Format is as we described it; its Number is what arrives.
	Format
	// Out is the number to send with.
	Out uint8
}

// Flow tells what was agreed on this leg: mine is our last description, theirs
// the peer's, whichever was the offer. The error is ErrAnswer, ErrSRTP,
// ErrNoCodec or ErrAddress.
func (l *Local) Flow(mine, theirs *Session) (Flow, error) {
	i := l.slot
	if i >= len(mine.Media) || i >= len(theirs.Media) {
		return Flow{}, fmt.Errorf("flow: %w: %d sections against %d", ErrAnswer, len(theirs.Media), len(mine.Media))
	}
	m, t := &mine.Media[i], &theirs.Media[i]
	if t.Port != 0 && t.fax() && m.fax() {
		return l.faxFlow(t)
	}
	if t.Port == 0 || t.Kind != "audio" || !t.rtp() {
		return Flow{}, fmt.Errorf("flow: %w: audio refused", ErrNoCodec)
	}
	if !t.Addr.IsValid() {
		return Flow{}, fmt.Errorf("flow: %w", ErrAddress)
	}
	f := Flow{
		Remote: netip.AddrPortFrom(t.Addr, t.Port), RemoteRTCP: t.RTCP,
		Mux: m.Mux && t.Mux, Ptime: t.Ptime, XR: t.XR,
		Send: m.Effective().Sends() && t.Effective().Receives(),
		Recv: m.Effective().Receives() && t.Effective().Sends(),
	}
	if f.Mux {
		f.RemoteRTCP = f.Remote
	} else if !f.RemoteRTCP.IsValid() && t.Port < 65535 {
		f.RemoteRTCP = netip.AddrPortFrom(t.Addr, t.Port+1)
	}
	for _, g := range m.Formats {
		if h, ok := find(t.Formats, g); ok {
			f.Formats = append(f.Formats, FlowFormat{Format: g, Out: h.Number})
		}
	}
	if len(f.Formats) == 0 {
		return Flow{}, fmt.Errorf("flow: %w", ErrNoCodec)
	}
	if f.ICE = l.checks(m, t); f.ICE == nil && l.ICE == ICERequired {
		return Flow{}, fmt.Errorf("flow: %w", ErrICE)
	}
	if f.DTLS = l.handshake(m, t); f.DTLS != nil && len(m.Crypto) == 0 || f.DTLS != nil && len(t.Crypto) == 0 {
		if l.setup = Passive; f.DTLS.Client {
			l.setup = Active
		}
		return f, nil
	}
	f.DTLS = nil
	var err error
	f.Out, f.In, err = keys(m, t)
	if err != nil {
		return Flow{}, fmt.Errorf("flow: %w", err)
	}
	if f.Out == nil && l.SRTP == Required {
		return Flow{}, fmt.Errorf("flow: %w: answered in the clear", ErrSRTP)
	}
	return f, nil
}

// Secure says whether the flow is encrypted.
func (f *Flow) Secure() bool { return f.Out != nil || f.DTLS != nil }

func (l *Local) faxFlow(t *Media) (Flow, error) {
	if err := l.barsFax(); err != nil {
		return Flow{}, fmt.Errorf("flow: %w", err)
	}
	if !t.Addr.IsValid() {
		return Flow{}, fmt.Errorf("flow: %w", ErrAddress)
	}
	return Flow{Remote: netip.AddrPortFrom(t.Addr, t.Port), UDPTL: true, Send: true, Recv: true}, nil
}

// keys finds the pair of crypto lines that was agreed on: the answerer repeats
// the tag and suite of the line that it took (RFC 4568 5.1.2).
func keys(m, t *Media) (out, in *Key, err error) {
	offered, answered := m.Crypto, t.Crypto
	if len(offered) == 1 && len(answered) != 1 {
		offered, answered = answered, offered // we answered
	}
	if len(answered) == 1 {
		for i := range offered {
			o, a := &offered[i], &answered[0]
			if o.Tag != a.Tag || o.Key.Suite != a.Key.Suite {
				continue
			}
			if !a.bearable() || !o.bearable() {
				return nil, nil, ErrSRTP // it would send what we can't read
			}
			if &answered[0] == &t.Crypto[0] {
				return &o.Key, &a.Key, nil
			}
			return &a.Key, &o.Key, nil
		}
	}
	if t.plain() && m.plain() && (len(m.Crypto) == 0 || len(t.Crypto) == 0) {
		return nil, nil, nil
	}
	return nil, nil, ErrSRTP
}
