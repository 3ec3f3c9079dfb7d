package loop

import (
	"fmt"
	"runtime/debug"
)

// Panic is the error of an owner whose machine or hands panicked. The one thing
// the owner kept is gone; the process lives.
type Panic struct {
	// Input is the type of the input that was being stepped.
	Input string
	// Value is what was thrown.
	Value any
	// Stack is the goroutine's stack at that moment.
	Stack []byte
}

// Error names the value and the input; the stack is for the log.
func (p *Panic) Error() string {
	return fmt.Sprintf("panic on %s: %v", p.Input, p.Value)
}

// Unwrap gives the thrown value if it was an error.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

func caught(in, v any) *Panic {
	return &Panic{Input: fmt.Sprintf("%T", in), Value: v, Stack: debug.Stack()}
}
