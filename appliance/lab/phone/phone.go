package phone

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"linekeeper/appliance/lab/tone"
	"linekeeper/appliance/lab/ua"
	"linekeeper/appliance/lab/voice"
)

// Config says what a phone is. Extension, Registrar and Local are needed.
type Config struct {
	Extension string
	Auth      string // user name of the digest; empty: Extension
	Password  string
	Algorithm string         // digest algorithm it answers; empty: the strongest offered
	Registrar netip.AddrPort // where it registers and sends everything
	Domain    string         // host of its own address; empty: the registrar's address
	Transport ua.Transport   // empty: UDP
	Local     netip.Addr     // its own address; the port is given by the kernel
	TLS       *tls.Config    // trust for TLS; needed with it
	Security  voice.Security
	Codecs    []tone.Law
	Tone      float64       // Hz it sends
	Ear       []float64     // Hz it listens for all the time (Heard listens for any)
	Echo      bool          // it sends back what it hears instead of a tone
	Expires   time.Duration // asked for; 0: 10 minutes
	Answer    Answer
	Pacer     *voice.Pacer // shared with other phones; nil: one of its own
	Media     func() (ua.Media, error)
	Log       *slog.Logger // nil: silent
}

// Answer is what a phone does with an incoming call.
type Answer struct {
	Mode  Mode
	After time.Duration // how long it rings before Mode is done
}

// Mode is the manner of an Answer.
type Mode uint8

// The manners.
const (
	Ring   Mode = iota // ring, and leave it to the test
	Accept             // ring, then answer
	Busy               // 486 at once
	Refuse             // ring, then 603
	Mute               // say nothing at all
)

// Phone is one telephone. Its methods are safe for concurrent use.
type Phone struct {
	cfg      Config
	agent    *ua.Agent
	stop     context.CancelFunc
	tasks    sync.WaitGroup
	pacer    *voice.Pacer
	incoming chan *ua.Call
	manner   atomic.Pointer[Answer]

	mu         sync.Mutex
	regID      string
	regSeq     uint32
	granted    time.Duration
	registered bool
	refreshing bool
	renewals   int
	failure    error
}

// maxWaiting bounds the incoming calls that no test has fetched.
const maxWaiting = 256

// New opens a phone's sockets; Close ends it. It does not register by itself.
func New(cfg Config) (*Phone, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Transport == "" {
		cfg.Transport = ua.UDP
	}
	if cfg.Auth == "" {
		cfg.Auth = cfg.Extension
	}
	if cfg.Expires == 0 {
		cfg.Expires = 10 * time.Minute
	}
	if cfg.Domain == "" {
		cfg.Domain = cfg.Registrar.Addr().String()
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &Phone{cfg: cfg, stop: stop, pacer: cfg.Pacer, incoming: make(chan *ua.Call, maxWaiting), regID: ua.Token()}
	p.manner.Store(&cfg.Answer)
	if p.pacer == nil {
		p.pacer = voice.NewPacer()
		p.tasks.Go(func() { p.pacer.Run(ctx) })
	}
	var err error
	if p.agent, err = p.open(); err != nil {
		stop()
		p.tasks.Wait()
		return nil, fmt.Errorf("phone %s: %w", cfg.Extension, err)
	}
	return p, nil
}

func (p *Phone) open() (*ua.Agent, error) {
	c := ua.Config{
		Transport: p.cfg.Transport, Local: netip.AddrPortFrom(p.cfg.Local, 0), Name: "Lab Phone " + p.cfg.Extension,
		Log: p.cfg.Log.With("phone", p.cfg.Extension), Handler: handler{p},
	}
	if p.cfg.Transport != ua.TLS {
		return ua.Open(c)
	}
	if p.cfg.TLS == nil {
		return nil, errors.New("tls without a tls setting")
	}
	own, err := ua.NewAuthority("phone " + p.cfg.Extension)
	if err != nil {
		return nil, err
	}
	if c.ServerTLS, err = own.Server(nil, p.cfg.Local); err != nil {
		return nil, err
	}
	c.ClientTLS = p.cfg.TLS
	return ua.Open(c)
}

// Close ends the phone without a word, as if its cable was pulled, and waits for all
// its goroutines.
func (p *Phone) Close() {
	p.stop()
	p.agent.Close()
	p.tasks.Wait()
}

// Extension is the phone's number.
func (p *Phone) Extension() string { return p.cfg.Extension }

// Tone is the frequency in Hz that the phone sends.
func (p *Phone) Tone() float64 { return p.cfg.Tone }

// Local is the address that the phone listens at.
func (p *Phone) Local() netip.AddrPort { return p.agent.Local() }

// Messages counts every SIP message that the phone received.
func (p *Phone) Messages() uint64 { return p.agent.Received() }

// SetAnswer changes what the phone does with the next incoming calls.
func (p *Phone) SetAnswer(a Answer) { p.manner.Store(&a) }

// Registration tells how the phone's registration stands.
func (p *Phone) Registration() (registered bool, granted time.Duration, renewals int, failure error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.registered, p.granted, p.renewals, p.failure
}

// Register registers and goes on renewing at four fifths of the granted time until
// Unregister or Close.
func (p *Phone) Register(ctx context.Context) error {
	if err := p.bind(ctx, p.cfg.Expires); err != nil {
		return err
	}
	p.mu.Lock()
	start := !p.refreshing
	p.refreshing = true
	p.mu.Unlock()
	if start {
		p.agent.Go(p.renew)
	}
	return nil
}

// Unregister takes the phone's binding away.
func (p *Phone) Unregister(ctx context.Context) error { return p.bind(ctx, 0) }

func (p *Phone) bind(ctx context.Context, expires time.Duration) error {
	host := sip.Uri{Scheme: "sip", Host: p.cfg.Domain}
	if p.cfg.Domain == p.cfg.Registrar.Addr().String() {
		host.Port = int(p.cfg.Registrar.Port())
	}
	self := sip.Uri{Scheme: "sip", User: p.cfg.Extension, Host: p.cfg.Domain}
	req := sip.NewRequest(sip.REGISTER, host)
	from := &sip.FromHeader{Address: self}
	from.Params.Add("tag", ua.Token())
	req.AppendHeader(from)
	req.AppendHeader(&sip.ToHeader{Address: self})
	p.mu.Lock()
	id := sip.CallIDHeader(p.regID)
	p.regSeq += 4 // room for the tries with credentials
	req.AppendHeader(&sip.CSeqHeader{SeqNo: p.regSeq, MethodName: sip.REGISTER})
	p.mu.Unlock()
	req.AppendHeader(&id)
	req.AppendHeader(&sip.ContactHeader{Address: p.agent.Contact(p.cfg.Extension)})
	req.AppendHeader(sip.NewHeader("Expires", strconv.Itoa(int(expires.Seconds()))))
	req.SetBody(nil)
	res, err := p.agent.DoAuthorized(ctx, req, p.cfg.Registrar.String(), p.credentials())
	if err == nil && !res.IsSuccess() {
		err = &Refused{Code: res.StatusCode, Phrase: res.Reason}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failure = err
	if err != nil {
		p.registered = false
		return fmt.Errorf("phone %s registers: %w", p.cfg.Extension, err)
	}
	p.registered, p.granted = expires > 0, granted(res, expires)
	p.renewals++
	return nil
}

// Refused is a final response that was no success.
type Refused struct {
	Code   int
	Phrase string
}

// Error is the code and its phrase.
func (r *Refused) Error() string { return fmt.Sprintf("refused with %d %s", r.Code, r.Phrase) }

func (p *Phone) credentials() ua.Credentials {
	return ua.Credentials{User: p.cfg.Auth, Password: p.cfg.Password, Algorithm: p.cfg.Algorithm}
}

// granted reads the time that the registrar gave to our contact (RFC 3261 10.2.4).
func granted(res *sip.Response, asked time.Duration) time.Duration {
	value := ""
	if h := res.GetHeader("Expires"); h != nil {
		value = h.Value()
	}
	if c := res.Contact(); c != nil {
		value = c.Params.GetOr("expires", value)
	}
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	return asked
}

// retryAfter is how long a phone waits after a failed renewal.
const retryAfter = 5 * time.Second

func (p *Phone) renew(ctx context.Context) {
	for {
		registered, wait, _, _ := p.Registration()
		wait = max(wait*4/5, time.Second)
		if !registered {
			wait = retryAfter
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if registered, _, _, failure := p.Registration(); !registered && failure == nil {
			continue // unregistered on purpose
		}
		if err := p.bind(ctx, p.cfg.Expires); err != nil {
			p.cfg.Log.Debug("renewing", "phone", p.cfg.Extension, "err", err)
		}
	}
}

// Dial calls number and returns as soon as the INVITE is sent.
func (p *Phone) Dial(ctx context.Context, number string) (*ua.Call, error) {
	return p.DialWith(ctx, number, nil)
}

// DialWith is Dial with more headers in the INVITE.
func (p *Phone) DialWith(ctx context.Context, number string, headers map[string]string) (*ua.Call, error) {
	return p.agent.Call(ctx, ua.Invitation{
		To:   sip.Uri{Scheme: "sip", User: number, Host: p.cfg.Domain},
		From: sip.Uri{Scheme: "sip", User: p.cfg.Extension, Host: p.cfg.Domain},
		Dest: p.cfg.Registrar.String(), Credentials: p.credentials(), Headers: headers,
	})
}

// DialLate calls number with an INVITE that carries no offer.
func (p *Phone) DialLate(ctx context.Context, number string) (*ua.Call, error) {
	return p.agent.Call(ctx, ua.Invitation{
		To:   sip.Uri{Scheme: "sip", User: number, Host: p.cfg.Domain},
		From: sip.Uri{Scheme: "sip", User: p.cfg.Extension, Host: p.cfg.Domain},
		Dest: p.cfg.Registrar.String(), Credentials: p.credentials(), LateOffer: true,
	})
}

// Incoming waits for the next incoming call.
func (p *Phone) Incoming(ctx context.Context) (*ua.Call, error) {
	select {
	case c := <-p.incoming:
		return c, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("phone %s waits for a call: %w", p.cfg.Extension, context.Cause(ctx))
	}
}

// Options sends an OPTIONS to the registrar and gives the code of its answer.
func (p *Phone) Options(ctx context.Context) (int, error) {
	req := sip.NewRequest(sip.OPTIONS, sip.Uri{Scheme: "sip", Host: p.cfg.Registrar.Addr().String(), Port: int(p.cfg.Registrar.Port())})
	from := &sip.FromHeader{Address: sip.Uri{Scheme: "sip", User: p.cfg.Extension, Host: p.cfg.Domain}}
	from.Params.Add("tag", ua.Token())
	req.AppendHeader(from)
	req.AppendHeader(&sip.ToHeader{Address: req.Recipient})
	id := sip.CallIDHeader(ua.Token())
	req.AppendHeader(&id)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: 1, MethodName: sip.OPTIONS})
	req.SetBody(nil)
	res, err := p.agent.Do(ctx, req, p.cfg.Registrar.String())
	if err != nil {
		return 0, err
	}
	return res.StatusCode, nil
}
