// Package tone makes sine tones as G.711 and tells which tone it hears in G.711.
//
// It is arithmetic only: it knows samples, and must never know sockets, clocks or
// SIP. A Detector hears a frequency when the tone stands clear of everything else
// in its window (signal to noise), not when it is merely loud.
package tone
