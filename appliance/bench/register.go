package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/icholy/digest"
)

// registrant is one phone that does nothing but register, as cheaply as can be: the
// generator must cost less than what it measures.
type registrant struct {
	user, password string
	domain         string
	transport      string // udp or tls
	server         netip.AddrPort
	conn           net.Conn
	reader         *bufio.Reader
	buf            [4096]byte
	callID         string
	cseq           int
	repeats        int // retransmissions sent
	expires        int // asked for; 0 takes the binding back
}

// Timers of RFC 3261 17.1.2.2.
const (
	timerE    = 500 * time.Millisecond
	timerEMax = 4 * time.Second
	timerF    = 64 * timerE
)

func newRegistrant(ctx context.Context, transport string, server netip.AddrPort, local netip.Addr, domain, user, password string) (*registrant, error) {
	r := &registrant{user: user, password: password, domain: domain, transport: transport, server: server, callID: token(), expires: 3600}
	d := net.Dialer{Timeout: timerF}
	var err error
	switch transport {
	case "udp":
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
		r.conn, err = d.DialContext(ctx, "udp", server.String())
	case "tls":
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
		// the box's LAN certificate is its own; what is measured is the handshake's price
		t := tls.Dialer{NetDialer: &d, Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}}
		r.conn, err = t.DialContext(ctx, "tcp", server.String())
	default:
		err = fmt.Errorf("transport %q is not known", transport)
	}
	if err != nil {
		return nil, fmt.Errorf("registrant %s: %w", user, err)
	}
	r.reader = bufio.NewReader(r.conn)
	return r, nil
}

func token() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// leave takes the binding back: calls that follow shall not ring phones that are gone.
func (r *registrant) leave() error {
	r.expires = 0
	return errors.Join(r.register(), r.conn.Close())
}

// register does one whole registration: REGISTER, 401, REGISTER with digest, 200.
func (r *registrant) register() error {
	status, head, err := r.transact("")
	if err != nil {
		return err
	}
	if status == 401 {
		authorization, err := r.prove(head)
		if err != nil {
			return err
		}
		if status, _, err = r.transact(authorization); err != nil {
			return err
		}
	}
	if status != 200 {
		return fmt.Errorf("registration of %s was answered with %d", r.user, status)
	}
	return nil
}

// prove answers the first challenge of a 401, which is the one the server prefers.
func (r *registrant) prove(head string) (string, error) {
	for line := range strings.Lines(head) {
		name, value, _ := strings.Cut(line, ":")
		if !strings.EqualFold(name, "WWW-Authenticate") {
			continue
		}
		challenge, err := digest.ParseChallenge(strings.TrimSpace(value))
		if err != nil {
			return "", err
		}
		cred, err := digest.Digest(challenge, digest.Options{Method: "REGISTER", URI: r.uri(), Username: r.user, Password: r.password, Count: 1})
		if err != nil {
			return "", err
		}
		return "Authorization: " + cred.String() + "\r\n", nil
	}
	return "", errors.New("401 without a challenge")
}

func (r *registrant) uri() string { return "sip:" + r.domain }

// transact sends one REGISTER and gives the status and head of its final response.
func (r *registrant) transact(authorization string) (int, string, error) {
	r.cseq++
	branch := "z9hG4bK" + token()
	local := r.conn.LocalAddr().String()
	message := fmt.Sprintf("REGISTER %s SIP/2.0\r\nVia: SIP/2.0/%s %s;branch=%s;rport\r\nMax-Forwards: 70\r\n"+
		"From: <sip:%s@%s>;tag=%s\r\nTo: <sip:%s@%s>\r\nCall-ID: %s\r\nCSeq: %d REGISTER\r\n"+
		"Contact: <sip:%s@%s;transport=%s>\r\nExpires: %d\r\nUser-Agent: Linekeeper Bench\r\n%sContent-Length: 0\r\n\r\n",
		r.uri(), strings.ToUpper(r.transport), local, branch, r.user, r.domain, r.callID[:8], r.user, r.domain, r.callID, r.cseq,
		r.user, local, r.transport, r.expires, authorization)
	end := time.Now().Add(timerF)
	wait := timerE
	for {
		if _, err := io.WriteString(r.conn, message); err != nil {
			return 0, "", err
		}
		deadline := end
		if r.transport == "udp" {
			deadline = time.Now().Add(wait)
			wait = min(2*wait, timerEMax)
		}
		status, head, err := r.await(branch, deadline)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() && r.transport == "udp" && time.Now().Before(end) {
			r.repeats++
			continue
		}
		return status, head, err
	}
}

func (r *registrant) await(branch string, deadline time.Time) (int, string, error) {
	if err := r.conn.SetReadDeadline(deadline); err != nil {
		return 0, "", err
	}
	for {
		head, err := r.read()
		if err != nil {
			return 0, "", err
		}
		rest, ok := strings.CutPrefix(head, "SIP/2.0 ")
		if !ok || len(rest) < 3 || !strings.Contains(head, branch) {
			continue
		}
		status, err := strconv.Atoi(rest[:3])
		if err == nil && status >= 200 {
			return status, head, nil
		}
	}
}

const maxHead = 16 << 10

// read gives the head of the next message; bodies of responses to REGISTER are empty.
func (r *registrant) read() (string, error) {
	if r.transport == "udp" {
		n, err := r.conn.Read(r.buf[:])
		return string(r.buf[:n]), err
	}
	var head strings.Builder
	for head.Len() < maxHead {
		line, err := r.reader.ReadString('\n')
		if err != nil {
			return "", err
		}
		if line == "\r\n" && head.Len() > 0 {
			return head.String(), nil
		}
		if line != "\r\n" {
			head.WriteString(line)
		}
	}
	return "", errors.New("head without an end")
}

// registerResult is the outcome of a registration load.
type registerResult struct {
	Done, Failed, Repeats int
	Took                  time.Duration
	Latency               hist
	FirstError            error
}

// registerAll lets every phone register once, all at the same moment: the storm after
// a power cut. Connections stand before the clock starts.
func registerAll(phones []*registrant) registerResult {
	return registerFor(phones, 0, len(phones))
}

// registerFor lets at most parallel phones register over and over for d, or each one once if d is 0.
func registerFor(phones []*registrant, d time.Duration, parallel int) registerResult {
	var (
		res registerResult
		mu  sync.Mutex
		wg  sync.WaitGroup
	)
	phones = phones[:min(parallel, len(phones))]
	began := time.Now()
	for _, p := range phones {
		wg.Go(func() {
			for {
				t := time.Now()
				err := p.register()
				took := time.Since(t)
				mu.Lock()
				if err != nil {
					res.Failed++
					res.FirstError = errors.Join(res.FirstError, firstOnly(res.Failed, err))
				} else {
					res.Done++
					res.Latency.add(took)
				}
				mu.Unlock()
				if time.Since(began) >= d {
					return
				}
			}
		})
	}
	wg.Wait()
	res.Took = time.Since(began)
	for _, p := range phones {
		res.Repeats += p.repeats
	}
	return res
}

func firstOnly(n int, err error) error {
	if n == 1 {
		return err
	}
	return nil
}

// registerPaced offers rate registrations a second for d, by the phones in turn.
func registerPaced(ctx context.Context, phones []*registrant, rate int, d time.Duration) registerResult {
	var (
		res  registerResult
		mu   sync.Mutex
		wg   sync.WaitGroup
		idle = make(chan *registrant, len(phones))
	)
	for _, p := range phones {
		idle <- p
	}
	began := time.Now()
	for i := range int(float64(rate) * d.Seconds()) {
		if !sleepTo(ctx, began.Add(time.Duration(i)*time.Second/time.Duration(rate))) {
			break
		}
		p := <-idle // a phone is never stuck for longer than timer F
		wg.Go(func() {
			t := time.Now()
			err := p.register()
			took := time.Since(t)
			idle <- p
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				res.Failed++
				res.FirstError = errors.Join(res.FirstError, firstOnly(res.Failed, err))
				return
			}
			res.Done++
			res.Latency.add(took)
		})
	}
	wg.Wait()
	res.Took = time.Since(began)
	for _, p := range phones {
		res.Repeats += p.repeats
	}
	return res
}
