package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tools are the strangers and instruments of the lab.
const tools = "ip dumpcap tshark baresip kamailio turnserver sipp dnsmasq svmap svwar svcrack sipsak"

// daemon is the path of the linekeeper under test, set once by TestMain.
var daemon string

// lacking says why the lab cannot run, "" where it can; set once by TestMain.
var lacking string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	lacking = lack()
	if lacking != "" {
		if mustRun() {
			fmt.Println("the lab must run here, but:", lacking)
			return 1
		}
		if err := flag.Set("test.run", "^TestTheLabHasWhatItNeeds$"); err != nil {
			fmt.Println(err)
			return 1
		}
		return m.Run()
	}
	sweep()
	cleanup, err := buildDaemon()
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer cleanup()
	return m.Run()
}

// TestTheLabHasWhatItNeeds is the one skip that is seen where it has not.
func TestTheLabHasWhatItNeeds(t *testing.T) {
	if lacking != "" {
		t.Skip(lacking)
	}
}

// mustRun says whether a skip would be a lie.
func mustRun() bool {
	return os.Getenv("CI") == "true" || strings.Contains(os.Getenv("LINEKEEPER_MUST"), "lab")
}

func lack() string {
	if os.Geteuid() != 0 {
		return "network namespaces need root: run make lab"
	}
	for tool := range strings.FieldsSeq(tools) {
		if _, err := exec.LookPath(tool); err != nil {
			return tool + " is not installed: run make setup"
		}
	}
	return ""
}

// buildDaemon takes the binary that make built, or builds one, with the race
// detector where the test itself has it.
func buildDaemon() (cleanup func(), err error) {
	if daemon = os.Getenv("LINEKEEPER_BIN"); daemon != "" {
		return func() {}, nil
	}
	dir, err := os.MkdirTemp("", "linekeeper-e2e")
	if err != nil {
		return nil, err
	}
	daemon = filepath.Join(dir, "linekeeper")
	args := []string{"build", "-buildvcs=false", "-o", daemon}
	if raceEnabled {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, "linekeeper/cmd/linekeeper")...)
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the daemon: %w\n%s", err, out)
	}
	return func() { os.RemoveAll(dir) }, nil
}
