package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// seat is where a process runs: its core, and its real-time priority if it has one.
type seat struct {
	core     int
	priority int // 0: none
}

// command is what starts a program on the seat. Every program before the last gives
// its process away by exec, so that its number is the program's.
func (s seat) command(program string, args ...string) []string {
	words := []string{"taskset", "-c", strconv.Itoa(s.core)}
	if s.priority > 0 {
		words = append(words, "chrt", "-r", strconv.Itoa(s.priority))
	}
	return append(append(words, program), args...)
}

// process is a program that was started here and is ended here.
type process struct {
	name  string
	log   string
	cmd   *exec.Cmd
	ended chan struct{}
}

const stopTimeout = 5 * time.Second

// start runs a program on a seat, in dir, with its output in dir/name.log.
func start(s seat, dir, name, program string, args ...string) (*process, error) {
	p := &process{name: name, log: filepath.Join(dir, name+".log"), ended: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, fmt.Errorf("log of %s: %w", name, err)
	}
	defer func() { _ = log.Close() }() // the program has its own copy
	words := s.command(program, args...)
	p.cmd = exec.Command(words[0], words[1:]...) // no context: it is told to stop, not killed
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, log, log
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // how it ended is told by the log
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// A report keeps this much of a log: what is said again and again tells nothing new.
const lastLines, lastColumns = 10, 200

// lastWords is the end of the log.
func (p *process) lastWords() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	lines = lines[max(0, len(lines)-lastLines):]
	for i, line := range lines {
		lines[i] = line[:min(len(line), lastColumns)]
	}
	return strings.Join(lines, "\n")
}

// stop asks the process to end, asks again, and ends it and its children by force.
// The daemon takes the first request as "when the calls are over" and the second as
// "now": calls that a load has given up are nobody's to wait for.
func (p *process) stop() error {
	for range 2 {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stopping %s: %w", p.name, err)
		}
		select {
		case <-p.ended:
			return nil
		case <-time.After(stopTimeout):
		}
	}
	errs := []error{fmt.Errorf("%s did not stop in time and was killed", p.name)}
	for _, pid := range family(p.pid()) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, err)
		}
	}
	<-p.ended
	return errors.Join(errs...)
}
