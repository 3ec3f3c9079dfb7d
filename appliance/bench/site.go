package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"linekeeper/appliance/lab/cloud"
	"linekeeper/appliance/lab/phone"
	"linekeeper/appliance/lab/ua"
	"linekeeper/appliance/lab/voice"
)

// The site that is measured: the box, its phones (one loopback address each) and its cloud.
const (
	phoneCount   = 200
	cloudDomain  = "cloud.example"
	cloudAddress = "127.0.0.3"
	outside      = "+4989555000" // any number outside is answered at once
)

// target is the system under test as phones see it.
type target struct {
	UDP, TLS netip.AddrPort
	Domain   string
	PIDs     []int // none: no process of its own, no processor time is told
	Name     string
}

// site is the world around the target.
type site struct {
	target   target
	cloud    *cloud.Cloud
	guest    bool // at another site's cloud
	engine   *engine
	phones   []*phone.Phone
	security voice.Security // of the phones
	clear    bool           // the trunk's media is not encrypted
	mu       sync.Mutex
	carrying bool // calls carry measured media
}

func extension(i int) string { return fmt.Sprintf("%d", 1000+i) }

func password(i int) string { return "bench-" + extension(i) }

// phoneAddr gives each phone a loopback address of its own, so that limits by source
// see the phones as they are.
func phoneAddr(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 1, byte(i / 250), byte(i%250 + 1)})
}

// newCloud opens the cloud that answers everything at once.
func (s *site) newCloud() error {
	accounts := make([]cloud.Account, 0, phoneCount)
	for i := range phoneCount {
		accounts = append(accounts, cloud.Account{User: extension(i), Password: password(i)})
	}
	at := netip.AddrPortFrom(netip.MustParseAddr(cloudAddress), 0)
	security := voice.Required
	if s.clear {
		security = voice.Plain
	}
	var err error
	s.cloud, err = cloud.New(cloud.Config{
		Listen: []cloud.Listen{{Transport: ua.UDP, Addr: at}, {Transport: ua.TLS, Addr: at}},
		Domain: cloudDomain, Accounts: accounts, Security: security,
		Unknown: &cloud.Script{Does: cloud.Answers},
		Media:   func(*ua.Call) (ua.Media, error) { return s.media(at.Addr(), 1, security) },
	})
	return err
}

// media is measured media or mute media, as the present case needs it.
func (s *site) media(addr netip.Addr, side uint32, security voice.Security) (ua.Media, error) {
	s.mu.Lock()
	carrying := s.carrying
	s.mu.Unlock()
	terms := voice.Terms{Security: security, Suites: []voice.Suite{voice.SHA1_80}}
	if carrying {
		return s.engine.endpoint(addr, side, terms)
	}
	return newMute(addr, terms)
}

func (s *site) carry(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.carrying = on
	if on {
		s.engine = newEngine()
	}
}

// openPhones opens the phones and registers them, spread over a few seconds.
func (s *site) openPhones(ctx context.Context) error {
	silent := voice.NewPacer() // nothing of the load is paced by it
	began := time.Now()
	for i := range phoneCount {
		addr := phoneAddr(i)
		p, err := phone.New(phone.Config{
			Extension: extension(i), Password: password(i), Registrar: s.target.UDP, Domain: s.target.Domain, Local: addr,
			Expires: time.Hour, Pacer: silent, Answer: phone.Answer{Mode: phone.Accept},
			Media: func() (ua.Media, error) { return s.media(addr, 0, s.security) },
		})
		if err != nil {
			return err
		}
		s.phones = append(s.phones, p)
	}
	for i, p := range s.phones {
		if !sleepTo(ctx, began.Add(time.Duration(i)*10*time.Millisecond)) {
			return context.Cause(ctx)
		}
		if err := p.Register(ctx); err != nil {
			return err
		}
	}
	return nil
}

// beside is a site of the same phones and the same cloud around another target. Its
// cloud is not its own: it closes phones only.
func (s *site) beside(t target, security voice.Security) *site {
	return &site{target: t, cloud: s.cloud, guest: true, security: security}
}

func (s *site) close() {
	for _, p := range s.phones {
		p.Close()
	}
	if s.guest {
		return
	}
	if s.cloud != nil {
		s.cloud.Close()
	}
}

// registrants opens one bare registration client for each phone.
func (s *site) registrants(ctx context.Context, transport string) ([]*registrant, error) {
	server := s.target.UDP
	if transport == "tls" {
		server = s.target.TLS
	}
	rs := make([]*registrant, 0, phoneCount)
	for i := range phoneCount {
		r, err := newRegistrant(ctx, transport, server, phoneAddr(i), s.target.Domain, extension(i), password(i))
		if err != nil {
			return nil, errors.Join(err, closeAll(rs))
		}
		rs = append(rs, r)
	}
	return rs, nil
}

// closeAll lets phones leave, some at a time.
func closeAll(rs []*registrant) error {
	var (
		wg   sync.WaitGroup
		errs = make([]error, len(rs))
		slot = make(chan struct{}, 10)
	)
	for i, r := range rs {
		slot <- struct{}{}
		wg.Go(func() {
			errs[i] = r.leave()
			<-slot
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
