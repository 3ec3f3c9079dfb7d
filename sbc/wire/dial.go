package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"linekeeper/sbc/sip"
)

// attempt is a connection being made. Its local address is settled; its
// goroutine goes on once it is told for whom.
type attempt struct {
	local  netip.AddrPort
	taker  chan *conn // closed: for nobody
	cancel context.CancelFunc
}

// dial begins a connection: its local port is settled when dial returns, the
// rest happens in the background.
func (z *zone) dial(t sip.Transport, local, remote netip.AddrPort) (*conn, error) {
	conf := z.config()
	if t == sip.TLS && conf.ClientTLS == nil {
		return nil, fmt.Errorf("connect to %s: zone %q has no tls settings", remote, conf.Name)
	}
	a, err := z.attempt(conf.DSCP, local, remote)
	if errors.Is(err, unix.EADDRNOTAVAIL) && local.Port() != 0 {
		// An old connection to the same peer still holds the port.
		a, err = z.attempt(conf.DSCP, netip.AddrPortFrom(local.Addr(), 0), remote)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", remote, err)
	}
	c := newConn(z, sip.Flow{Zone: conf.Name, Transport: t, Local: a.local, Remote: remote}, true)
	c.aliased = t == sip.TLS && proves(conf.ClientTLS)
	if err := z.enter(c); err != nil {
		a.cancel()
		close(a.taker)
		return nil, err
	}
	context.AfterFunc(c.life, a.cancel)
	a.taker <- c
	return c, nil
}

// binding is the outcome of choosing a local address.
type binding struct {
	local netip.AddrPort
	err   error
}

// attempt starts to connect and returns as soon as the local address stands,
// or nothing can come of it.
func (z *zone) attempt(dscp uint8, local, remote netip.AddrPort) (*attempt, error) {
	bound := make(chan binding, 1)
	tried := false
	dialer := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 20 * time.Second, Interval: 5 * time.Second, Count: 3},
		Control: rawControl(func(fd int) error {
			if tried { // Go tries again by itself, but the local address has been told
				return unix.ECONNABORTED
			}
			tried = true
			addr, err := z.prepareDial(fd, dscp, local, remote)
			bound <- binding{addr, err}
			return err
		}),
	}
	life, cancel := context.WithTimeout(context.Background(), z.wire.limits.Dial)
	a := &attempt{taker: make(chan *conn, 1), cancel: cancel}
	started := z.wire.spawn(func() {
		defer cancel()
		sock, err := dialer.DialContext(life, family("tcp", remote), remote.String())
		select {
		case bound <- binding{err: err}: // it came to nothing before Control
		default: // Control has told
		}
		a.follow(life, sock, err)
	})
	if !started {
		cancel()
		return nil, ErrClosed
	}
	b := <-bound
	if b.err != nil {
		close(a.taker)
		return nil, b.err
	}
	a.local = b.local
	return a, nil
}

// prepareDial sets a socket's options and binds it.
func (z *zone) prepareDial(fd int, dscp uint8, local, remote netip.AddrPort) (netip.AddrPort, error) {
	if err := prepareStream(fd, local.Addr().Is6(), dscp, z.wire.limits.Dead); err != nil {
		return netip.AddrPort{}, err
	}
	addr, err := bindNear(fd, local)
	if err != nil {
		return netip.AddrPort{}, err
	}
	// Connecting here shows whether the port still belongs to an old connection
	// to the same peer; Go's own connect then finds it under way.
	if errors.Is(unix.Connect(fd, sockaddr(remote)), unix.EADDRNOTAVAIL) {
		return netip.AddrPort{}, unix.EADDRNOTAVAIL
	}
	return addr, nil
}

// follow lives the connection that the attempt was made for.
func (a *attempt) follow(life context.Context, sock net.Conn, err error) {
	c := <-a.taker
	switch {
	case c == nil:
		if err == nil {
			_ = sock.Close()
		}
	case err != nil:
		c.fail(fmt.Errorf("connect to %s: %w", c.flow.Remote, err))
		c.finish()
	default: // it stands
		c.run(life, sock.(*net.TCPConn))
	}
}
