//go:build race

package e2e

// raceEnabled says that this test was built with the race detector.
const raceEnabled = true
