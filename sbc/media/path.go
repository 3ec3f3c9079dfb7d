package media

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Path says which way packets take through the kernel. Both fast ways are
// chosen where kernel and rights allow them; nothing needs to be configured.
type Path struct {
	// Workers are the threads that relay, Tick is how long a busy one sleeps.
	Workers int
	Tick    time.Duration
	// Steered: arriving IPv4 packets are taken up to 64 at a time from one
	// socket for each worker; else from each port's own socket.
	Steered bool
	// Batched: IPv4 packets leave up to 64 at a time; else one by one.
	Batched bool
	// Why tells what kept a fast way from being taken; empty: both are.
	Why string
}

// String is one line for status and log.
func (p Path) String() string {
	in, out := "each port's own socket", "one by one"
	if p.Steered {
		in = "steered into one socket"
	}
	if p.Batched {
		out = "in batches"
	}
	s := fmt.Sprintf("in: %s, out: %s, %d worker(s), tick %v", in, out, p.Workers, p.Tick)
	if p.Why != "" {
		s += " (" + p.Why + ")"
	}
	return s
}

// Describe says which way packets take, for status. It is fixed at New.
func (e *Engine) Describe() Path { return e.path }

// errPlain is the reason of an engine that was told to keep to plain sockets.
var errPlain = errors.New("plain sockets were asked for")

// choosePath takes the fast ways that can be had; the package comment says what
// they are worth.
func (e *Engine) choosePath() {
	e.path = Path{Workers: len(e.workers), Tick: e.conf.Tick, Batched: true}
	var why error // of the last worker: all fail for the same reason
	for _, w := range e.workers {
		out, err := newOutbox(e.conf.DSCP, e.conf.Plain)
		w.out = out
		e.path.Batched = e.path.Batched && out.fd >= 0
		why = err
	}
	if e.conf.Plain {
		e.path.Why = errPlain.Error()
		return
	}
	steer, err := steerWorkers(e.workers)
	if err == nil {
		e.steer, e.path.Steered = steer, true
	}
	if why = errors.Join(why, err); why != nil {
		e.path.Why = why.Error()
	}
}

// steerWorkers gives each worker its shared socket, or none of them.
func steerWorkers(workers []*worker) (_ *steering, err error) {
	sockets := make([]int, 0, len(workers))
	defer func() {
		if err != nil {
			for _, fd := range sockets {
				_ = unix.Close(fd)
			}
		}
	}()
	for range workers {
		fd, err := bindShared()
		if err != nil {
			return nil, err
		}
		sockets = append(sockets, fd)
	}
	steer, err := newSteering(sockets)
	if err != nil {
		return nil, err
	}
	for i, w := range workers {
		ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: sharedPort}
		if err = unix.EpollCtl(w.epoll, unix.EPOLL_CTL_ADD, sockets[i], &ev); err != nil {
			steer.close()
			return nil, fmt.Errorf("wait for steered packets: %w", err)
		}
	}
	for i, w := range workers {
		w.shared, w.steer = sockets[i], steer
	}
	return steer, nil
}
