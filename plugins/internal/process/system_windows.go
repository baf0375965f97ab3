package process

import (
	"io"
	"os"
	"os/exec"
	"unsafe"

	"golang.org/x/sys/windows"
)

const nonblock = 0

// newStdin returns the two ends of the child's standard input, a pipe.
func newStdin() (host io.Closer, child *os.File, err error) {
	child, host, err = os.Pipe()
	return host, child, err
}

// A group is a job object: its processes are killed when it is closed, at the latest when the host
// has ended. When job is 0, the group is the child alone.
type group struct {
	job    windows.Handle
	leader *os.Process
}

func setGroup(*exec.Cmd) {}

// newGroup creates a job and adds the child. Processes that the child has started before are not in
// the job.
func newGroup(leader *os.Process) group {
	job, err := newJob(uint32(leader.Pid))
	if err != nil {
		job = 0
	}
	return group{job, leader}
}

func newJob(pid uint32) (windows.Handle, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return 0, err
	}
	var limits windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	limits.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	// Safe: the call gets the size of the structure, reads it before it returns, and keeps no
	// pointer.
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation, uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)))
	if err == nil {
		err = assign(job, pid)
	}
	if err != nil {
		_ = windows.CloseHandle(job)
		return 0, err
	}
	return job, nil
}

func assign(job windows.Handle, pid uint32) error {
	process, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, pid)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(process)
	return windows.AssignProcessToJobObject(job, process)
}

func (g group) kill() {
	if g.job == 0 || windows.TerminateJobObject(g.job, 1) != nil {
		_ = g.leader.Kill() // an error means that it has ended
	}
}

func (g group) close() {
	if g.job != 0 {
		_ = windows.CloseHandle(g.job)
	}
}
