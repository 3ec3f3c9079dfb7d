package e2e

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Proc is a program in a namespace. It ends with the test at the latest.
type Proc struct {
	name string
	cmd  *exec.Cmd
	out  *output
	done chan struct{}
	err  error // how it ended, once done is closed
}

// output keeps what a program prints and wakes who waits for it.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.text.Len() < 4<<20 {
		o.text.Write(p)
	}
	close(o.more)
	o.more = make(chan struct{})
	return len(p), nil
}

func (o *output) snapshot() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.more
}

// Start runs a program inside the host.
func (h *Host) Start(t *testing.T, dir string, env []string, program string, args ...string) *Proc {
	t.Helper()
	// ip replaces itself by the program, so that the process id is the program's.
	cmd := exec.Command("ip", append([]string{"netns", "exec", h.ns, program}, args...)...)
	p := &Proc{
		name: program + " in " + h.ns, cmd: cmd,
		out:  &output{more: make(chan struct{})},
		done: make(chan struct{}),
	}
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), env...)
	cmd.Stdout, cmd.Stderr = p.out, p.out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 2 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", p.name, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.Kill() // strangers need no goodbye
		if t.Failed() {
			t.Logf("%s printed:\n%s", p.name, ends(p.Text(), 6000))
		}
	})
	return p
}

// Text is all that the program has printed so far.
func (p *Proc) Text() string {
	text, _ := p.out.snapshot()
	return text
}

// Stop asks the program to end, and ends it and its children if it does not.
func (p *Proc) Stop() {
	p.end(syscall.SIGTERM)
}

// Interrupt ends the program as ctrl-C would.
func (p *Proc) Interrupt() { p.end(syscall.SIGINT) }

// Kill ends the program at once, as a power cut would.
func (p *Proc) Kill() { p.end(syscall.SIGKILL) }

func (p *Proc) end(sig syscall.Signal) {
	select {
	case <-p.done:
		return
	default:
	}
	group := -p.cmd.Process.Pid
	syscall.Kill(p.cmd.Process.Pid, sig)
	select {
	case <-p.done:
	case <-time.After(3 * time.Second):
	}
	syscall.Kill(group, syscall.SIGKILL) // its children, and itself if it would not
	<-p.done
}

// Await waits until the program has printed something that matches.
func (p *Proc) Await(t *testing.T, pattern string, within time.Duration) {
	t.Helper()
	want := regexp.MustCompile(pattern)
	deadline := time.After(within)
	for {
		text, more := p.out.snapshot()
		if want.MatchString(text) {
			return
		}
		select {
		case <-more:
		case <-p.done:
			if text, _ := p.out.snapshot(); want.MatchString(text) {
				return
			}
			t.Fatalf("%s ended (%v) before it printed %q", p.name, p.err, pattern)
		case <-deadline:
			t.Fatalf("%s has not printed %q within %v", p.name, pattern, within)
		}
	}
}

// Wait waits for the program to end by itself and returns how.
func (p *Proc) Wait(t *testing.T, within time.Duration) error {
	t.Helper()
	select {
	case <-p.done:
		return p.err
	case <-time.After(within):
		t.Fatalf("%s has not ended within %v", p.name, within)
		return nil
	}
}

// Run runs a short program inside the host and returns what it printed.
func (h *Host) Run(t *testing.T, env []string, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", h.ns, program}, args...)...)
	cmd.Env = append(cmd.Environ(), env...)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return string(out) + string(exit.Stderr), err
	}
	return string(out), err
}

// eventually asks again and again until ok, and says what it saw last if it
// never was.
func eventually(t *testing.T, within time.Duration, what string, ask func() (seen string, ok bool)) time.Duration {
	t.Helper()
	begin := time.Now()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		seen, ok := ask()
		if ok {
			return time.Since(begin)
		}
		if time.Since(begin) > within {
			t.Fatalf("%s: not within %v; last seen: %s", what, within, seen)
		}
		<-tick.C
	}
}

// pass lets time go by while the world does its part, for instance while two
// parties talk.
func pass(d time.Duration) { <-time.After(d) }

// ends are the beginning and the end of a long text.
func ends(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n/4] + "…" + s[len(s)-n+n/4:]
}

// setTOS marks what a socket sends.
func setTOS(conn syscall.Conn, tos int) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_TOS, tos)
	}); err != nil {
		return err
	}
	return failed
}
