package voice

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"

	"linekeeper/appliance/lab/tone"
)

// Config says what an end is.
type Config struct {
	Addr    netip.Addr // local address; the port is given by the kernel
	Low     uint16     // first and last port instead, both in the range; 0: any
	High    uint16
	Terms   Terms
	Tone    float64     // Hz sent while sending is agreed; 0: silence
	Level   float64     // dBm0; 0: tone.DefaultLevel
	Ear     []float64   // Hz listened for
	Echo    bool        // send back what comes in, instead of the tone
	Blocked func() bool // true: the network is a black hole both ways; nil: never
}

// End is one end of a voice stream. Its methods are safe for concurrent use.
type End struct {
	cfg   Config
	conn  *net.UDPConn
	pacer *Pacer
	done  chan struct{} // the reader has ended

	mu       sync.Mutex // guards all below, never held across I/O
	session  *Session
	deal     Deal
	dealt    bool
	enc, dec *srtp.Context
	out      rtp.Packet
	gen      *tone.Generator
	tee      *End // gets what comes in (a bridge)
	fed      bool // sends what the other end of a bridge hears
	stats    Stats
	seq      sequence
	ears     map[*ear]struct{}
	always   *tone.Detector
}

type ear struct {
	detector *tone.Detector
	news     chan struct{}
}

// Open binds a socket and starts listening; Close ends it.
func Open(cfg Config, pacer *Pacer) (*End, error) {
	conn, err := bind(cfg)
	if err != nil {
		return nil, fmt.Errorf("media socket on %s: %w", cfg.Addr, err)
	}
	local := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	session, err := NewSession(cfg.Terms, local)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if cfg.Level == 0 {
		cfg.Level = tone.DefaultLevel
	}
	e := &End{
		cfg: cfg, conn: conn, pacer: pacer, done: make(chan struct{}), session: session,
		gen: tone.NewGenerator(cfg.Tone, cfg.Level), ears: make(map[*ear]struct{}), always: tone.NewDetector(cfg.Ear...),
	}
	var id [12]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	e.out.Header = rtp.Header{
		Version: 2, SSRC: binary.BigEndian.Uint32(id[:]), Timestamp: binary.BigEndian.Uint32(id[4:]),
		SequenceNumber: binary.BigEndian.Uint16(id[8:]) >> 1, Marker: true, // RFC 4568 6.4: first number below 2^15
	}
	e.out.Payload = make([]byte, tone.Frame)
	go e.read()
	pacer.add(e)
	return e, nil
}

// bind opens the socket on the first port of the range that is free.
func bind(cfg Config) (conn *net.UDPConn, err error) {
	for port := int(cfg.Low); port <= int(cfg.High); port += 2 {
		if conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(cfg.Addr, uint16(port)))); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// Close stops sending and listening and frees the socket.
func (e *End) Close() {
	e.pacer.remove(e)
	_ = e.conn.Close() // a UDP socket has nothing to lose
	<-e.done
}

// Local is the address of the media socket.
func (e *End) Local() netip.AddrPort { return e.session.local }

// Offer is a fresh offer of this end.
func (e *End) Offer() []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.session.Offer()
}

// Answer takes an offer and gives the answer; media flows from now on.
func (e *End) Answer(offer []byte) ([]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	text, deal, err := e.session.Answer(offer)
	if err != nil {
		return nil, err
	}
	return text, e.applyLocked(deal)
}

// Accept takes the answer to the last offer; media flows from now on.
func (e *End) Accept(answer []byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	deal, err := e.session.Accept(answer)
	if err != nil {
		return err
	}
	return e.applyLocked(deal)
}

// Hold sets what the next offer says; nothing is sent by it.
func (e *End) Hold(on bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.session.Hold(on)
}

// Deal is what was agreed last; ok false before the first agreement.
func (e *End) Deal() (deal Deal, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.deal, e.dealt
}

// Stats counts packets since Open.
func (e *End) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.stats
	s.Lost = e.seq.lost()
	return s
}

// Tones tells what Config.Ear heard since Open.
func (e *End) Tones() []tone.Heard {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.always.Tones()
}

// SetTone changes the frequency sent from now on; 0 is silence.
func (e *End) SetTone(hz float64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gen = tone.NewGenerator(hz, e.cfg.Level)
}

// Bridge joins two ends: each sends what the other hears.
func Bridge(a, b *End) {
	a.join(b)
	b.join(a)
}

func (e *End) join(other *End) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tee, e.fed = other, true
}

// Heard waits until hz was heard without a break for at least d, counting from now.
func (e *End) Heard(ctx context.Context, hz float64, d time.Duration) error {
	l := &ear{detector: tone.NewDetector(hz), news: make(chan struct{}, 1)}
	e.mu.Lock()
	e.ears[l] = struct{}{}
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		delete(e.ears, l)
		e.mu.Unlock()
	}()
	for {
		select {
		case <-ctx.Done():
			e.mu.Lock()
			defer e.mu.Unlock()
			return fmt.Errorf("heard %g Hz for %v, waited for %v (level %.0f dBm0, %d packets, %d broken): %w", hz,
				l.detector.Of(hz).Longest, d, l.detector.Level(), e.stats.Received, e.stats.Broken, context.Cause(ctx))
		case <-e.done:
			return fmt.Errorf("waiting to hear %g Hz: %w", hz, net.ErrClosed)
		case <-l.news:
		}
		e.mu.Lock()
		longest := l.detector.Of(hz).Longest
		e.mu.Unlock()
		if longest >= d {
			return nil
		}
	}
}

func (e *End) applyLocked(deal Deal) error {
	if !sameKey(e.deal.Out, deal.Out) {
		e.enc = nil
		if deal.Out != nil {
			ctx, err := deal.Out.Context()
			if err != nil {
				return err
			}
			e.enc = ctx
		}
	}
	if !sameKey(e.deal.In, deal.In) {
		e.dec = nil
		if deal.In != nil {
			ctx, err := deal.In.Context()
			if err != nil {
				return err
			}
			e.dec = ctx
		}
	}
	e.deal, e.dealt = deal, true
	return nil
}

func sameKey(a, b *Crypto) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Suite == b.Suite && string(a.Key) == string(b.Key)
}

func (e *End) blocked() bool { return e.cfg.Blocked != nil && e.cfg.Blocked() }

// sendTone sends the next 20 ms of tone; the pacer calls it.
func (e *End) sendTone() {
	e.mu.Lock()
	if e.fed || e.cfg.Echo || !e.dealt || !e.deal.Send {
		e.out.Timestamp += tone.Frame // silence passes too
		e.mu.Unlock()
		return
	}
	e.gen.Read(e.deal.Law, e.out.Payload)
	packet, to := e.packLocked()
	e.mu.Unlock()
	e.write(packet, to)
}

// relay sends the samples that came in by law at the other end of a bridge.
func (e *End) relay(law tone.Law, octets []byte) {
	e.mu.Lock()
	if !e.dealt || !e.deal.Send || len(octets) > len(e.out.Payload) {
		e.mu.Unlock()
		return
	}
	for i, o := range octets {
		if law != e.deal.Law {
			o = e.deal.Law.Encode(law.Decode(o))
		}
		e.out.Payload[i] = o
	}
	packet, to := e.packLocked()
	e.mu.Unlock()
	e.write(packet, to)
}

// packLocked makes the next packet of the present payload; nil if it cannot.
func (e *End) packLocked() ([]byte, netip.AddrPort) {
	e.out.PayloadType = uint8(e.deal.Law)
	packet, err := e.out.Marshal()
	if err == nil && e.enc != nil {
		packet, err = e.enc.EncryptRTP(nil, packet, nil)
	}
	e.out.Marker = false
	e.out.SequenceNumber++
	e.out.Timestamp += tone.Frame
	if err != nil || e.deal.Remote.Port() == 0 {
		return nil, netip.AddrPort{}
	}
	e.stats.Sent++
	return packet, e.deal.Remote
}

func (e *End) write(packet []byte, to netip.AddrPort) {
	if packet == nil || e.blocked() {
		return
	}
	_, _ = e.conn.WriteToUDPAddrPort(packet, to) // a lost packet is what the far end counts
}

func (e *End) read() {
	defer close(e.done)
	buf := make([]byte, 2048)
	plain := make([]byte, 2048)
	for {
		n, _, err := e.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || e.blocked() {
			continue
		}
		e.take(buf[:n], plain)
	}
}

func (e *End) take(packet, plain []byte) {
	e.mu.Lock()
	octets, law, ok := e.openLocked(packet, plain)
	if !ok {
		e.mu.Unlock()
		return
	}
	e.always.Write(law, octets)
	for l := range e.ears {
		l.detector.Write(law, octets)
		select {
		case l.news <- struct{}{}:
		default:
		}
	}
	to := e.tee
	if e.cfg.Echo {
		to = e
	}
	e.mu.Unlock()
	if to != nil {
		to.relay(law, octets)
	}
}

// openLocked authenticates, counts and unpacks one packet.
func (e *End) openLocked(packet, plain []byte) (octets []byte, law tone.Law, ok bool) {
	if len(packet) >= 2 && packet[1] >= 192 && packet[1] <= 223 {
		return nil, 0, false // RTCP (RFC 5761 4), which the lab does not need
	}
	if e.dec != nil {
		out, err := e.dec.DecryptRTP(plain[:0], packet, nil)
		if err != nil {
			e.countBrokenLocked(packet)
			return nil, 0, false
		}
		packet = out
	}
	var p rtp.Packet
	if err := p.Unmarshal(packet); err != nil {
		e.stats.Broken++
		return nil, 0, false
	}
	law = tone.Law(p.PayloadType)
	if law != tone.A && law != tone.Mu {
		return nil, 0, false // telephone-event and comfort noise say nothing to an ear
	}
	now := time.Now()
	kind, newSource := e.seq.take(p.SSRC, p.SequenceNumber)
	if newSource {
		e.stats.Sources++
	}
	switch kind {
	case twice:
		e.stats.Twice++
		return nil, 0, false
	case late:
		e.stats.Late++
	case fresh:
	}
	if e.stats.Received == 0 {
		e.stats.First = now
	} else {
		e.stats.Gap = max(e.stats.Gap, now.Sub(e.stats.Last))
	}
	e.stats.Received++
	e.stats.Last = now
	return p.Payload, law, true
}

// countBrokenLocked tells plain RTP apart from SRTP that does not open.
func (e *End) countBrokenLocked(packet []byte) {
	var h rtp.Header
	n, err := h.Unmarshal(packet)
	if err == nil && len(packet)-n == tone.Frame {
		e.stats.Bare++ // no room for an authentication tag behind 20 ms of audio
		return
	}
	e.stats.Broken++
}
