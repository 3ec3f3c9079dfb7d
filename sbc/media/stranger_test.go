package media

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/ice/v4"
	"github.com/pion/srtp/v3"

	"linekeeper/sbc/rtp"
	"linekeeper/sbc/sdp"
)

// The keys that a stranger may want.
const (
	byNothing = "RTP"
	byDTLS    = "DTLS-SRTP"
)

// stranger is a far end that shares no code with the box below RTP: pion's SRTP,
// DTLS and ICE, its descriptions written by hand.
type stranger struct {
	t     testing.TB
	keys  string // byNothing, byDTLS or the name of a suite
	mux   bool
	ice   bool
	setup string // of its answers, "active" or "passive"

	socket, control *net.UDPConn
	agent           *ice.Agent
	candidates      []string
	seed            byte
	cert            tls.Certificate

	offered bool
	shaken  bool    // with the present certificate
	asUs    sdp.Key // what it sends with
	usedOwn *sdp.Key
	usedBox *sdp.Key
	path    net.Conn
	heard   chan []byte
	wire    atomic.Pointer[wirePair] // of its present handshake
	enc     *srtp.Context
	dec     *srtp.Context
	ssrc    uint32
	seq     uint16
	ts      uint32
}

func newStranger(t testing.TB, keys string, mux, withICE bool, seed byte) *stranger {
	t.Helper()
	s := &stranger{t: t, keys: keys, mux: mux || withICE, ice: withICE, seed: seed, setup: "active", ssrc: uint32(seed) << 8, seq: 65000, heard: make(chan []byte, 256)}
	if withICE {
		s.gather()
	} else {
		p := newPhone(t, 0)
		s.socket, s.control = p.rtp, p.rtcp
	}
	s.renew()
	return s
}

func (s *stranger) keying() string { return s.keys }
func (s *stranger) muxes() bool    { return s.mux }

// renew makes new keys: the next description carries them.
func (s *stranger) renew() {
	s.seed += 16
	if s.keys != byDTLS {
		s.asUs = *testKey(sdp.Suite(s.keys), s.seed)
		return
	}
	c, err := NewCertificate()
	if err != nil {
		s.t.Fatal(err)
	}
	s.cert, s.shaken = tls.Certificate{Certificate: [][]byte{c.der}, PrivateKey: c.key}, false
}

func (s *stranger) gather() {
	s.t.Helper()
	agent, err := ice.NewAgentWithOptions(ice.WithNetworkTypes([]ice.NetworkType{ice.NetworkTypeUDP4}), ice.WithIncludeLoopback(),
		ice.WithIPFilter(func(ip net.IP) bool { return ip.IsLoopback() }), ice.WithMulticastDNSMode(ice.MulticastDNSModeDisabled),
		ice.WithCandidateTypes([]ice.CandidateType{ice.CandidateTypeHost}))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = agent.Close() })
	done := make(chan struct{})
	if err := agent.OnCandidate(func(c ice.Candidate) {
		if c == nil {
			close(done)
			return
		}
		s.candidates = append(s.candidates, c.Marshal())
	}); err != nil {
		s.t.Fatal(err)
	}
	if err := agent.GatherCandidates(); err != nil {
		s.t.Fatal(err)
	}
	<-done
	s.agent = agent
}

// describe writes its description as an offer, or as the answer to theirs.
func (s *stranger) describe(theirs *sdp.Session, direction string) *sdp.Session {
	s.t.Helper()
	s.offered = theirs == nil
	var at netip.AddrPort
	if s.socket != nil {
		at = s.socket.LocalAddr().(*net.UDPAddr).AddrPort()
	} else {
		f := strings.Fields(s.candidates[0])
		at = netip.MustParseAddrPort(f[4] + ":" + f[5])
	}
	proto := "RTP/SAVP"
	switch s.keys {
	case byNothing:
		proto = "RTP/AVP"
	case byDTLS:
		proto = "UDP/TLS/RTP/SAVP"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %d %s 8\r\na=%s\r\n", at.Addr(), at.Port(), proto, direction)
	switch s.keys {
	case byNothing:
	case byDTLS:
		setup := "actpass"
		if theirs != nil {
			setup = s.setup
		}
		f := sdp.FingerprintOf(s.cert.Certificate[0])
		fmt.Fprintf(&b, "a=fingerprint:%s %s\r\na=setup:%s\r\n", f.Hash, f.Value, setup)
	default:
		tag := 7
		if theirs != nil {
			for _, c := range theirs.Audio().Crypto {
				if string(c.Key.Suite) == s.keys {
					tag = c.Tag
				}
			}
		}
		fmt.Fprintf(&b, "a=crypto:%d %s inline:%s|2^31\r\n", tag, s.keys, base64.StdEncoding.EncodeToString(s.asUs.Material))
	}
	if s.mux {
		b.WriteString("a=rtcp-mux\r\n")
	}
	if s.ice {
		ufrag, pwd, err := s.agent.GetLocalUserCredentials()
		if err != nil {
			s.t.Fatal(err)
		}
		fmt.Fprintf(&b, "a=ice-ufrag:%s\r\na=ice-pwd:%s\r\n", ufrag, pwd)
		for _, c := range s.candidates {
			fmt.Fprintf(&b, "a=candidate:%s\r\n", c)
		}
	}
	d, err := sdp.Parse([]byte(b.String()))
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// listen is told the box's description, and what it was first told itself about
// paths holds for good.
func (s *stranger) listen(mine, theirs *sdp.Session) {
	s.t.Helper()
	m := theirs.Audio()
	if s.path == nil {
		if s.ice {
			s.path = s.connect(m)
		} else {
			s.path = &udpPath{s.socket, net.UDPAddrFromAddrPort(netip.AddrPortFrom(m.Addr, m.Port))}
		}
		go s.read()
	}
	switch s.keys {
	case byNothing:
		if len(m.Crypto) != 0 || m.Proto != "RTP/AVP" {
			s.t.Fatalf("a plain end is told %s", theirs.Bytes())
		}
	case byDTLS:
		if !s.shaken { // a new description alone is no new association (RFC 8842 3)
			s.shaken = true
			s.shake(mine.Audio(), m)
		}
	default:
		if len(m.Crypto) == 0 {
			s.t.Fatalf("no key in\n%s", theirs.Bytes())
		}
		for i := range m.Crypto {
			if k := &m.Crypto[i].Key; string(k.Suite) == s.keys {
				s.key(k)
			}
		}
	}
}

// key takes the box's key; the same again keeps the roll-over counters, on both
// sides (RFC 3711 3.2.1).
func (s *stranger) key(box *sdp.Key) {
	if !s.usedBox.Equal(box) {
		s.dec, s.usedBox = pion(s.t, box), box
	}
	if !s.usedOwn.Equal(&s.asUs) {
		own := s.asUs
		s.enc, s.usedOwn = pion(s.t, &own), &own
	}
}

// connect finds the path by ICE; who offered controls.
func (s *stranger) connect(m *sdp.Media) net.Conn {
	s.t.Helper()
	if err := s.agent.SetRemoteICELite(m.ICE.Lite); err != nil {
		s.t.Fatal(err)
	}
	for i := range m.ICE.Candidates {
		c := &m.ICE.Candidates[i]
		if c.Component == 2 && m.Mux { // of use without mux only (RFC 5761 5.1.3)
			continue
		}
		got, err := ice.UnmarshalCandidate(fmt.Sprintf("%s %d udp %d %s %d typ %s", c.Foundation, c.Component, c.Priority, c.Addr.Addr(), c.Addr.Port(), c.Type))
		if err == nil {
			err = s.agent.AddRemoteCandidate(got)
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	find := s.agent.Accept
	if s.offered {
		find = s.agent.Dial
	}
	c, err := find(ctx, m.ICE.Ufrag, string([]byte(m.ICE.Pwd)))
	if err != nil {
		s.t.Fatalf("ice: %v", err)
	}
	return c
}

// udpPath is a socket with one far end.
type udpPath struct {
	*net.UDPConn
	to *net.UDPAddr
}

func (p *udpPath) Write(b []byte) (int, error) { return p.WriteToUDP(b, p.to) }

// read sorts what arrives by its first byte (RFC 7983).
func (s *stranger) read() {
	for b := make([]byte, 2048); ; {
		n, err := s.path.Read(b)
		if err != nil {
			return
		}
		switch {
		case n > 0 && b[0] >= 20 && b[0] < 64:
			if w := s.wire.Load(); w != nil {
				w.write(b[:n])
			}
		case n > 0:
			s.heard <- bytes.Clone(b[:n])
		}
	}
}

// wirePair is two sockets: pion's DTLS holds the inner one, records go between the
// outer one and the path.
type wirePair struct{ inner, outer *net.UDPConn }

func newWirePair(t testing.TB, path net.Conn) *wirePair {
	t.Helper()
	local := func() *net.UDPConn {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	w := &wirePair{local(), local()}
	go func() {
		for b := make([]byte, 2048); ; {
			n, err := w.outer.Read(b)
			if err != nil {
				return
			}
			_, _ = path.Write(b[:n])
		}
	}()
	return w
}

func (w *wirePair) write(b []byte) { _, _ = w.outer.WriteTo(b, w.inner.LocalAddr()) }

// shake does the DTLS handshake of the descriptions.
func (s *stranger) shake(mine, theirs *sdp.Media) {
	s.t.Helper()
	client := mine.Setup == sdp.Active || mine.Setup == sdp.ActPass && theirs.Setup == sdp.Passive
	if client && theirs.Setup == sdp.Active {
		s.t.Fatal("both are active")
	}
	w := newWirePair(s.t, s.path)
	s.wire.Store(w)
	verify := func(raw [][]byte, _ [][]*x509.Certificate) error {
		if !theirs.Fingerprints[0].Matches(raw[0]) {
			return fmt.Errorf("the box shows another certificate")
		}
		return nil
	}
	profiles := []dtls.SRTPProtectionProfile{dtls.SRTP_AES128_CM_HMAC_SHA1_80}
	if s.seed%2 == 0 {
		profiles = []dtls.SRTPProtectionProfile{dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80}
	}
	var conn *dtls.Conn
	var err error
	if client {
		conn, err = dtls.ClientWithOptions(w.inner, w.outer.LocalAddr(), dtls.WithCertificates(s.cert), dtls.WithInsecureSkipVerify(true),
			dtls.WithVerifyPeerCertificate(verify), dtls.WithSRTPProtectionProfiles(profiles...))
	} else {
		conn, err = dtls.ServerWithOptions(w.inner, w.outer.LocalAddr(), dtls.WithCertificates(s.cert), dtls.WithInsecureSkipVerify(true),
			dtls.WithVerifyPeerCertificate(verify), dtls.WithSRTPProtectionProfiles(profiles...), dtls.WithClientAuth(dtls.RequireAnyClientCert))
	}
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		s.t.Fatalf("dtls, client %v: %v", client, err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	p, _ := conn.SelectedSRTPProtectionProfile()
	state, _ := conn.ConnectionState()
	c := srtp.Config{Profile: srtp.ProtectionProfile(p)}
	if err := c.ExtractSessionKeysFromDTLS(&state, client); err != nil {
		s.t.Fatal(err)
	}
	create := func(key, salt []byte) *srtp.Context {
		ctx, err := srtp.CreateContext(key, salt, c.Profile, srtp.SRTPReplayProtection(64), srtp.SRTCPReplayProtection(64))
		if err != nil {
			s.t.Fatal(err)
		}
		return ctx
	}
	s.enc = create(c.Keys.LocalMasterKey, c.Keys.LocalMasterSalt)
	s.dec = create(c.Keys.RemoteMasterKey, c.Keys.RemoteMasterSalt)
}

// say sends one packet.
func (s *stranger) say(payload []byte) {
	s.t.Helper()
	h := rtp.Header{Payload: 8, Sequence: s.seq, Timestamp: s.ts, SSRC: s.ssrc}
	b := make([]byte, rtp.HeaderLen, 512)
	h.Put(b)
	s.seq++
	s.ts += 160
	b = append(b, payload...)
	if s.enc != nil {
		var err error
		if b, err = s.enc.EncryptRTP(nil, b, nil); err != nil {
			s.t.Fatal(err)
		}
	}
	if _, err := s.path.Write(b); err != nil {
		s.t.Fatal(err)
	}
}

// hear is the payload of the next RTP packet.
func (s *stranger) hear() []byte {
	s.t.Helper()
	late := time.NewTimer(15 * time.Second)
	defer late.Stop()
	for {
		select {
		case b := <-s.heard:
			if rtp.IsRTCP(b) {
				continue
			}
			if s.dec != nil {
				var err error
				if b, err = s.dec.DecryptRTP(nil, b, nil); err != nil {
					s.t.Fatalf("%s hears what it can't open: %v", s.keys, err)
				}
			}
			h, ok := rtp.Parse(b)
			if !ok {
				s.t.Fatalf("no RTP: %x", b)
			}
			return b[h.Len:]
		case <-late.C:
			s.t.Fatalf("%s hears nothing", s.keys)
		}
	}
}
