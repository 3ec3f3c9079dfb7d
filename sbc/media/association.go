package media

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/pion/dtls/v3"

	"linekeeper/sbc/sdp"
)

const (
	// maxHandshakes bounds the handshakes at a time; others wait for their turn.
	maxHandshakes = 64
	// maxRecord is the largest datagram with DTLS records that is looked at.
	maxRecord = 1600
	// recordQueue bounds the datagrams that wait for one handshake: a flight in
	// its smallest pieces. What doesn't fit is lost, and sent again.
	recordQueue = 32
	// flightInterval is the first time-out of a flight; it doubles (RFC 6347 4.2.4).
	// Less than the usual second: somebody waits to be heard.
	flightInterval = 250 * time.Millisecond
	// handshakeTime bounds one handshake, and how long nobody hears why there is none.
	handshakeTime = 20 * time.Second
	// lingerTime is how long a finished handshake answers repeated flights: the
	// peer's last time-outs.
	lingerTime = 30 * time.Second
	// extractor is the label of RFC 5764 4.2.
	extractor = "EXTRACTOR-dtls_srtp"
)

// association is the DTLS handshake of one component of a stream. It runs on
// goroutines of its own: the worker gives it the records that arrive, and what
// it wants sent goes out as a command, like its keys.
//
//	waiting --path; a server: the first record--> running --keys--> lingering --> over
//	   ^                                            | |
//	   +------ no answer in time (KeysLate) --------+ +--alert, wrong certificate--> over (KeysFailed)
type association struct {
	s         *Stream
	component int
	flow      sdp.Handshake
	remote    netip.AddrPort // the peer's address when it began
	in        chan []byte
	begun     chan struct{} // closed by the worker
	life      context.Context
	close     context.CancelFunc

	// The rest belongs to the worker.
	started bool
	reply   sockaddr // where records came from before the source is latched
	from    netip.AddrPort
}

func newAssociation(s *Stream, component int, flow sdp.Handshake) *association {
	a := &association{s: s, component: component, flow: flow, in: make(chan []byte, recordQueue), begun: make(chan struct{})}
	a.life, a.close = context.WithCancel(s.engine.life)
	return a
}

// begin lets the handshake start; the worker calls it.
func (a *association) begin() {
	if !a.started {
		a.started = true
		close(a.begun)
	}
}

// feed takes a datagram of records; the worker calls it.
func (a *association) feed(b []byte) {
	select {
	case a.in <- append([]byte(nil), b...):
	default:
	}
}

// run tries until there are keys or it makes no sense to go on.
func (a *association) run() {
	defer a.close()
	for a.await() {
		err := a.handshake()
		switch {
		case err == nil, a.life.Err() != nil:
			return
		case !errors.Is(err, context.DeadlineExceeded):
			a.s.notify(Event{KeysFailed, fmt.Errorf("dtls handshake: %w", err)})
			return
		}
		a.s.notify(Event{KeysLate, fmt.Errorf("dtls handshake: no answer within %s", handshakeTime)})
	}
}

// await waits for the path and for a turn; false: no longer needed.
func (a *association) await() bool {
	late := time.NewTicker(handshakeTime)
	defer late.Stop()
	for waiting := true; waiting; {
		select {
		case <-a.begun:
			waiting = false
		case <-a.life.Done():
			return false
		case <-late.C:
			a.s.notify(Event{KeysLate, fmt.Errorf("dtls handshake: not begun by the peer within %s", handshakeTime)})
		}
	}
	select {
	case a.s.engine.handshakes <- struct{}{}:
		return true
	case <-a.life.Done():
		return false
	}
}

// handshake runs one handshake on a turn that await took, and lingers after it
// succeeded.
func (a *association) handshake() error {
	c := newRecordConn(a)
	conn, err := a.start(c)
	if err == nil {
		err = a.negotiate(conn)
	}
	<-a.s.engine.handshakes
	if err != nil {
		c.mute()
		if conn != nil {
			_ = conn.Close()
		}
		return err
	}
	a.linger(c, conn)
	return nil
}

// start makes the end of the handshake that we are.
func (a *association) start(c *recordConn) (*dtls.Conn, error) {
	cert := a.s.engine.conf.Certificate
	if cert == nil {
		return nil, errors.New("no certificate")
	}
	var profiles []dtls.SRTPProtectionProfile
	for _, s := range a.flow.Suites {
		if p, ok := profileOf(s); ok {
			profiles = append(profiles, p)
		}
	}
	own := tls.Certificate{Certificate: [][]byte{cert.der}, PrivateKey: cert.key}
	shared := []dtls.Option{
		dtls.WithCertificates(own), dtls.WithSRTPProtectionProfiles(profiles...),
		dtls.WithInsecureSkipVerify(true), dtls.WithVerifyPeerCertificate(a.verify), // by fingerprint, not by chain
		dtls.WithExtendedMasterSecret(dtls.RequestExtendedMasterSecret), dtls.WithFlightInterval(flightInterval),
	}
	if a.flow.Client {
		var options []dtls.ClientOption
		for _, o := range shared {
			options = append(options, o)
		}
		return dtls.ClientWithOptions(c, c.RemoteAddr(), options...)
	}
	options := []dtls.ServerOption{
		dtls.WithClientAuth(dtls.RequireAnyClientCert),
		dtls.WithInsecureSkipVerifyHello(true), // only the signalled source gets here
	}
	for _, o := range shared {
		options = append(options, o)
	}
	return dtls.ServerWithOptions(c, c.RemoteAddr(), options...)
}

// Errors of a handshake that ends the call.
var (
	errFingerprint = errors.New("the peer's certificate is not the one in its description")
	errProfile     = errors.New("no common srtp profile")
)

// verify holds the peer's certificate against the signalling.
func (a *association) verify(raw [][]byte, _ [][]*x509.Certificate) error {
	if len(raw) > 0 {
		for _, f := range a.flow.Peer {
			if f.Matches(raw[0]) {
				return nil
			}
		}
	}
	return errFingerprint
}

// negotiate shakes hands and hands over the keys.
func (a *association) negotiate(conn *dtls.Conn) error {
	ctx, cancel := context.WithTimeout(a.life, handshakeTime)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		if ctx.Err() != nil {
			return context.DeadlineExceeded
		}
		return err
	}
	profile, ok := conn.SelectedSRTPProtectionProfile()
	suite := suiteOf(profile)
	state, have := conn.ConnectionState()
	if !ok || suite == "" || !have {
		return errProfile
	}
	n, m := suite.KeyLen(), suite.SaltLen()
	material, err := state.ExportKeyingMaterial(extractor, nil, 2*(n+m))
	if err != nil {
		return fmt.Errorf("export media keys: %w", err)
	}
	client := sdp.Key{Suite: suite, Material: join(material[:n], material[2*n:2*n+m])}
	server := sdp.Key{Suite: suite, Material: join(material[n:2*n], material[2*n+m:])}
	if a.flow.Client {
		return a.s.keyed(a, &server, &client)
	}
	return a.s.keyed(a, &client, &server)
}

func join(key, salt []byte) []byte { return append(append([]byte(nil), key...), salt...) }

// linger answers flights that the peer repeats since it lost our last one.
func (a *association) linger(c *recordConn, conn *dtls.Conn) {
	ctx, cancel := context.WithTimeout(a.life, lingerTime)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		c.mute() // else the peer reads from our last alert that the call is over
		_ = conn.Close()
	})
	defer stop()
	for b := make([]byte, maxRecord); ; {
		if _, err := conn.Read(b); err != nil { // the keys stay good, even if the peer has closed it
			c.mute()
			_ = conn.Close()
			return
		}
	}
}

// profileOf is the number of a suite (RFC 5764 4.1.2, RFC 7714 14.2).
func profileOf(s sdp.Suite) (dtls.SRTPProtectionProfile, bool) {
	switch s {
	case sdp.AES128SHA80:
		return dtls.SRTP_AES128_CM_HMAC_SHA1_80, true
	case sdp.AES128SHA32:
		return dtls.SRTP_AES128_CM_HMAC_SHA1_32, true
	case sdp.AES128GCM:
		return dtls.SRTP_AEAD_AES_128_GCM, true
	case sdp.AES256GCM:
		return dtls.SRTP_AEAD_AES_256_GCM, true
	case sdp.AES256SHA80: // RFC 6188 never got a number
	}
	return 0, false
}

func suiteOf(p dtls.SRTPProtectionProfile) sdp.Suite {
	for _, s := range [...]sdp.Suite{sdp.AES128SHA80, sdp.AES128SHA32, sdp.AES128GCM, sdp.AES256GCM} {
		if q, _ := profileOf(s); q == p {
			return s
		}
	}
	return ""
}
