package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"linekeeper/sbc/sip"
)

// listener accepts connections on one address.
type listener struct {
	zone         *zone
	transport    sip.Transport
	asked, bound netip.AddrPort
	sock         *net.TCPListener
}

func openListener(z *zone, t sip.Transport, addr netip.AddrPort, dscp uint8) (*listener, error) {
	conf := net.ListenConfig{Control: rawControl(func(fd int) error { return prepareListener(fd, addr.Addr().Is6(), dscp) })}
	sock, err := conf.Listen(context.Background(), family("tcp", addr), addr.String())
	if err != nil {
		return nil, err
	}
	tcp := sock.(*net.TCPListener)
	return &listener{zone: z, transport: t, asked: addr, bound: tcp.Addr().(*net.TCPAddr).AddrPort(), sock: tcp}, nil
}

func (l *listener) close() { _ = l.sock.Close() }

// remark marks what the listener itself sends: the answer to a connection's
// first packet.
func (l *listener) remark(dscp uint8) {
	if err := control(l.sock, func(fd int) error { return mark(fd, l.bound.Addr().Is6(), dscp) }); err != nil {
		l.zone.wire.bad.add(err, l.bound.String())
	}
}

func (l *listener) serve() {
	if !l.zone.wire.spawn(l.accept) {
		l.close()
	}
}

// accept takes connections until the listener is closed.
func (l *listener) accept() {
	w := l.zone.wire
	for {
		raw, err := l.sock.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of descriptors, most likely: give others time to close theirs.
			w.bad.add(fmt.Errorf("accept: %w", err), l.bound.String())
			pause := time.NewTimer(50 * time.Millisecond)
			<-pause.C
			continue
		}
		l.take(raw)
	}
}

// take serves an accepted connection if the guard and the limits allow it.
func (l *listener) take(raw *net.TCPConn) {
	z, w := l.zone, l.zone.wire
	remote := raw.RemoteAddr().(*net.TCPAddr).AddrPort()
	remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	local := raw.LocalAddr().(*net.TCPAddr).AddrPort()
	if w.guard.Admit(remote.Addr(), time.Now()) != Admitted || !w.accepts.enter(remote.Addr(), w.limits, w.guard) {
		_ = raw.SetLinger(0)
		_ = raw.Close()
		return
	}
	conf := z.config()
	c := newConn(z, sip.Flow{Zone: conf.Name, Transport: l.transport, Local: local, Remote: remote}, false)
	err := control(raw, func(fd int) error { return prepareStream(fd, local.Addr().Is6(), conf.DSCP, w.limits.Unacked) })
	if err == nil {
		err = raw.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3})
	}
	if err == nil {
		err = l.begin(c, raw)
	}
	if err != nil {
		w.accepts.leave(remote.Addr())
		_ = raw.Close()
	}
}

// begin lets an accepted connection live.
func (l *listener) begin(c *conn, raw *net.TCPConn) error {
	z, w := l.zone, l.zone.wire
	if err := z.enter(c); err != nil {
		return err
	}
	ok := w.spawn(func() {
		defer w.accepts.leave(c.flow.Remote.Addr())
		greet, cancel := context.WithTimeout(c.life, w.limits.Greeting)
		defer cancel()
		c.run(greet, raw)
	})
	if !ok {
		z.leave(c)
		return ErrClosed
	}
	return nil
}
