package process

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func playLinux(role string) {
	switch role {
	case "descriptors": // sockets, pipes and memory, which is what a host has that could be inherited; the runtime's own are files
		entries, _ := os.ReadDir("/proc/self/fd")
		for _, e := range entries {
			target, _ := os.Readlink("/proc/self/fd/" + e.Name())
			for _, kind := range []string{"socket:", "pipe:", "/memfd:"} {
				if strings.HasPrefix(target, kind) {
					fmt.Fprintln(os.Stderr, e.Name(), target)
				}
			}
		}
	case "traced": // by a grandchild outside its group, so that its end is that one's to collect
		_ = unix.Prctl(unix.PR_SET_PTRACER, ^uintptr(0), 0, 0, 0)
		exe, _ := os.Executable()
		cmd := exec.Command(exe, "child", "tracer")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		said := make([]byte, 100)
		n, _ := out.Read(said)
		fmt.Println(string(said[:n]))
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "tracer":
		runtime.LockOSThread()
		if err := unix.PtraceSeize(os.Getppid()); err != nil {
			fmt.Print(err)
			return
		}
		fmt.Print(os.Getpid())
		forever()
	default:
		fmt.Fprintln(os.Stderr, "no role", role)
		os.Exit(99)
	}
}
