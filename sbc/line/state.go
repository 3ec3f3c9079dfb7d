package line

// State is where a line stands.
type State uint8

// The states of a line.
const (
	// Idle: not started.
	Idle State = iota
	// Asking: registering, not bound.
	Asking
	// Bound: registered. A refresh under way doesn't change that.
	Bound
	// Waiting: not registered, the next attempt has its time.
	Waiting
	// Rejected: the credentials were refused too often; rests until Retry.
	Rejected
	// Leaving: unregistering.
	Leaving
	// Gone: the end.
	Gone
)

// String is the state's name in status and logs.
func (s State) String() string {
	return [...]string{"idle", "asking", "bound", "waiting", "rejected", "leaving", "gone"}[s]
}

// Cause is why a line isn't bound, or why its last attempt failed.
type Cause uint8

// The causes.
const (
	// NoCause: all is well, or nothing was tried yet.
	NoCause Cause = iota
	// NoAnswer: the provider said nothing.
	NoAnswer
	// ConnectionLost: the connection broke or could not be made.
	ConnectionLost
	// BadCertificate: TLS failed over a certificate.
	BadCertificate
	// Overloaded: 503, or another 5xx.
	Overloaded
	// Refused: another final answer.
	Refused
	// WrongPassword: the answer to a fresh challenge was refused.
	WrongPassword
	// Forbidden: 403 or 404: the account is barred, unknown, or tied to other addresses.
	Forbidden
	// NotBound: a 200 that doesn't list our contact.
	NotBound
	// NoTarget: the resolver knows no address of the provider.
	NoTarget
	// PathGone: the WAN is known to be cut.
	PathGone
)

// String is the cause as a sentence in English; a person reads it in `lines`.
func (c Cause) String() string {
	return [...]string{
		"",
		"the provider does not answer",
		"the connection to the provider broke",
		"the TLS certificate was not accepted",
		"the provider is overloaded",
		"the provider refused the registration",
		"the provider refused the password",
		"the provider does not know or does not allow the account",
		"the provider accepted but did not keep the registration",
		"no address of the provider is known",
		"the line to the provider is gone",
	}[c]
}
