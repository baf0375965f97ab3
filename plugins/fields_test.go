package plugins

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/plugins/internal/memory"
	protocol "github.com/compressaware/cram/plugins/internal/protocol/v1"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
)

// Optional fields of the protocol: quantization, input moments, memory limit, plan. The tests run
// with a plugin process, with a plugin in this process, and with a peer that does not know these
// fields.

// FieldPlugin is a plugin that reports the optional fields that it receives.
var FieldPlugin = Plugin{Name: "fields", Version: "1", Compressor: momentUser{}, Backend: fieldBackend{}}

// momentUser is a compressor that skips all weights and gives the input moments as the reason.
type momentUser struct{}

func (momentUser) String() string         { return "moments" }
func (momentUser) UsesInputMoments() bool { return true }

func (momentUser) Compress(_ context.Context, w []compress.Weight) ([]compress.Compressed, error) {
	out := make([]compress.Compressed, len(w))
	for i, x := range w {
		if x.Prunable() {
			out[i].Skipped = fmt.Sprintf("moments %v", x.InputMoments.F32())
		}
	}
	return out, nil
}

// fieldBackend is a backend without ops.
type fieldBackend struct{}

func (fieldBackend) Info() backends.Info {
	return backends.Info{Name: "fields", InstructionSet: "none"}
}
func (fieldBackend) Close() error { return nil }

func (fieldBackend) NewSession(context.Context) (backends.Session, error) {
	return &fieldSession{slots: map[string]array.Value{}}, nil
}

type fieldSession struct{ slots map[string]array.Value }

func (s *fieldSession) Set(_ context.Context, slot string, v array.Value) error {
	if err := v.Check(); err != nil {
		return err
	}
	v.Values = slices.Clone(v.Values)
	s.slots[slot] = v
	return nil
}

// Get returns real numbers for a slot with a quantization.
func (s *fieldSession) Get(_ context.Context, slot string) (array.Tensor, error) {
	v := s.slots[slot]
	if v.Quantization != nil {
		var err error
		if v, err = v.Cast(array.F32); err != nil {
			return array.Tensor{}, err
		}
	}
	return v.Decode()
}

func (*fieldSession) Close() error { return nil }

// smallLimit is a memory limit that Compile exceeds; a run exceeds limits below runLimit.
const smallLimit, runLimit = 100, 1000

var fieldPlan = backends.Plan{
	Device: "a device", InstructionSet: "none", Threads: 3, Batch: 64,
	Choices: []backends.Choice{{Name: "w", Kernel: "fast", Times: []backends.KernelTime{{Kernel: "fast", Nanoseconds: 5}, {Kernel: "slow", Nanoseconds: 6}}}},
}

func (*fieldSession) Compile(_ context.Context, _ *graph.Program, o backends.Options) (backends.Executable, error) {
	if o.MemoryLimit > 0 && o.MemoryLimit <= smallLimit {
		return nil, &backends.MemoryError{Backend: "fields", What: "constants", Want: smallLimit + 1, Limit: o.MemoryLimit}
	}
	e := &fieldExecutable{plan: fieldPlan, limit: o.MemoryLimit}
	if o.Pin != nil {
		e.plan = *o.Pin
	}
	return e, nil
}

type fieldExecutable struct {
	plan  backends.Plan
	limit int64
}

func (e *fieldExecutable) Run(_ context.Context, in, out []array.Tensor) ([]array.Tensor, error) {
	if e.limit > 0 && e.limit < runLimit {
		return nil, &backends.MemoryError{Backend: "fields", What: "a run", Want: runLimit, Limit: e.limit}
	}
	copy(out[0].Data, in[0].Data)
	return out, nil
}

func (e *fieldExecutable) Plan() *backends.Plan { return &e.plan }
func (*fieldExecutable) Close() error           { return nil }

// optional are the fields that an old peer does not know.
var optional = []protoreflect.FullName{
	"cram.plugin.v1.Value.quantization",
	"cram.plugin.v1.Weight.input_moments", "cram.plugin.v1.CompressorDescription.input_moments",
	"cram.plugin.v1.CompileRequest.memory_limit", "cram.plugin.v1.CompileReply.memory_error", "cram.plugin.v1.RunReply.memory_error",
	"cram.plugin.v1.CompileRequest.pin", "cram.plugin.v1.CompileReply.plan",
}

// removeOptional removes the optional fields of a message, as if an old peer had sent or read it,
// and returns how many there were.
func removeOptional(m protoreflect.Message) (n int) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case slices.Contains(optional, f.FullName()):
			m.Clear(f)
			n++
		case f.Message() == nil || f.IsMap():
		case f.IsList():
			for i := range v.List().Len() {
				n += removeOptional(v.List().Get(i).Message())
			}
		default:
			n += removeOptional(v.Message())
		}
		return true
	})
	return n
}

// inMemory returns a client of a plugin that runs in this process. With old set, the optional
// fields do not cross.
func inMemory(t *testing.T, p Plugin, old bool) (*client, Info) {
	t.Helper()
	removed := 0
	s := newServer(p)
	listener := bufconn.Listen(1 << 20)
	g := grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, q any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		if !old {
			return next(ctx, q)
		}
		removed += removeOptional(q.(proto.Message).ProtoReflect())
		reply, err := next(ctx, q)
		if err == nil {
			removed += removeOptional(reply.(proto.Message).ProtoReflect())
		}
		return reply, err
	}))
	s.register(g)
	go g.Serve(listener)
	options := append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
	}, interceptors...)
	conn, err := grpc.NewClient("passthrough:memory", options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		g.Stop()
		if old && removed == 0 {
			t.Error("no optional field was removed")
		}
	})
	command, err := Command{Path: "in memory"}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	c := &client{command: command, conn: conn, plugin: protocol.NewPluginClient(conn), alive: t.Context(), memory: memory.Streamed(protocol.NewMemoryClient(conn))}
	if c.description, err = c.plugin.Describe(t.Context(), &protocol.DescribeRequest{}); err != nil {
		t.Fatal(err)
	}
	info, err := infoOf(c.description)
	if err != nil {
		t.Fatal(err)
	}
	return c, info
}

// eachPeer runs a test with clients of FieldPlugin. With old set, the peer does not know the
// optional fields.
func eachPeer(t *testing.T, test func(t *testing.T, c *client, info Info, old bool)) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, stream := range map[string]bool{"shared": false, "streamed": true} {
		t.Run(name, func(t *testing.T) {
			c, info, err := launch(t.Context(), Command{Path: exe, Env: []string{"CRAM_TEST_ROLE=fields"}, Stream: stream})
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			test(t, c, info, false)
		})
	}
	for name, old := range map[string]bool{"in memory": false, "old peer": true} {
		t.Run(name, func(t *testing.T) {
			c, info := inMemory(t, FieldPlugin, old)
			test(t, c, info, old)
		})
	}
}

func openSession(t *testing.T, c *client, info Info) backends.Session {
	t.Helper()
	s, err := newBackend(c, info).NewSession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestQuantization holds that the quantization of a value reaches the backend.
func TestQuantization(t *testing.T) {
	eachPeer(t, func(t *testing.T, c *client, info Info, old bool) {
		s := openSession(t, c, info)
		v := array.Value{
			DType: array.I8, Dims: []int{2, 3}, Values: []byte{1, 2, 3, 0xff, 0, 1},
			Quantization: &array.Quantization{Axis: 0, Scale: []float32{0.5, 2}, Zero: []int32{1, -1}},
		}
		if err := s.Set(t.Context(), "w", v); err != nil {
			t.Fatal(err)
		}
		got, err := s.Get(t.Context(), "w")
		if err != nil {
			t.Fatal(err)
		}
		if old {
			if got.DType != array.I8 || !slices.Equal(got.Data, v.Values) {
				t.Errorf("got %v %v, want the integers", got.DType, got.Data)
			}
		} else if want := []float32{0, 0.5, 1, 0, 2, 4}; !slices.Equal(got.F32(), want) {
			t.Errorf("got %v, want %v", got.F32(), want)
		}
		v.Quantization.Scale[1] = -1
		if err := s.Set(t.Context(), "w", v); err == nil {
			t.Error("a negative scale is accepted")
		}
	})
}

// TestInputMoments holds that a compressor gets input moments when it asks for them and the host
// has them.
func TestInputMoments(t *testing.T) {
	weight := func(moments ...float32) []compress.Weight {
		data, err := array.New(array.F32, 2, 3)
		if err != nil {
			t.Fatal(err)
		}
		w := compress.Weight{Meta: compress.Meta{Name: "fc.weight", Role: graph.Kernel, Dims: data.Dims}, Data: data}
		if len(moments) > 0 {
			if w.InputMoments, err = array.From(moments, len(moments)); err != nil {
				t.Fatal(err)
			}
		}
		return []compress.Weight{w}
	}
	eachPeer(t, func(t *testing.T, p *client, info Info, old bool) {
		c := &Compressor{command: p.command, info: info, lock: make(chan struct{}, 1), client: p}
		if c.UsesInputMoments() == old {
			t.Errorf("UsesInputMoments is %v", c.UsesInputMoments())
		}
		if outer, ok := compress.Except(c, "head.weight").(compress.MomentUser); !ok || outer.UsesInputMoments() == old {
			t.Error("a selection hides that the compressor uses input moments")
		}
		for _, moments := range [][]float32{{1, 4, 9}, nil} {
			out, err := c.Compress(t.Context(), weight(moments...))
			if err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprintf("moments %v", moments)
			if old {
				want = "moments []"
			}
			if out[0].Skipped != want {
				t.Errorf("got %q, want %q", out[0].Skipped, want)
			}
		}
		if _, err := c.Compress(t.Context(), weight(1, 2)); (err == nil) != old || err != nil && !strings.Contains(err.Error(), "axis 1") {
			t.Errorf("moments of another shape: %v", err)
		}
	})
}

// program returns y = x for x [N].
func identityProgram(t *testing.T) *graph.Program {
	t.Helper()
	b := graph.NewBuilder()
	b.Output("y", b.Neg(b.Input("x", array.F32, graph.Shape{graph.Sym("N")})))
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestMemoryLimit holds that the memory limit reaches the backend and that its error is a
// backends.MemoryError.
func TestMemoryLimit(t *testing.T) {
	eachPeer(t, func(t *testing.T, c *client, info Info, old bool) {
		s, p := openSession(t, c, info), identityProgram(t)
		x, err := array.From([]float32{1, 2, 3})
		if err != nil {
			t.Fatal(err)
		}
		check := func(what string, err error, want backends.MemoryError) {
			t.Helper()
			var got *backends.MemoryError
			if old && err == nil {
				return
			}
			if old || !errors.As(err, &got) || *got != want {
				t.Errorf("%s: got %v, want %v", what, err, &want)
			}
		}
		_, err = s.Compile(t.Context(), p, backends.Options{MemoryLimit: smallLimit})
		check("compile", err, backends.MemoryError{Backend: "fields", What: "constants", Want: smallLimit + 1, Limit: smallLimit})
		if _, err := s.Compile(t.Context(), p, backends.Options{MemoryLimit: -1}); err == nil {
			t.Error("a negative limit is accepted")
		}
		for limit, exceeded := range map[int64]bool{0: false, runLimit - 1: true, runLimit: false} {
			e, err := s.Compile(t.Context(), p, backends.Options{MemoryLimit: limit})
			if err != nil {
				t.Fatal(err)
			}
			_, err = e.Run(t.Context(), []array.Tensor{x}, nil)
			if exceeded {
				check("run", err, backends.MemoryError{Backend: "fields", What: "a run", Want: runLimit, Limit: limit})
			} else if err != nil {
				t.Errorf("limit %d: %v", limit, err)
			}
		}
		// The host checks the outputs, because it allocates them.
		e, err := s.Compile(t.Context(), p, backends.Options{MemoryLimit: runLimit})
		if err != nil {
			t.Fatal(err)
		}
		large, err := array.New(array.F32, 251)
		if err != nil {
			t.Fatal(err)
		}
		_, err = e.Run(t.Context(), []array.Tensor{large}, nil)
		var got *backends.MemoryError
		if !errors.As(err, &got) || got.Want != 1004 || got.Limit != runLimit || !strings.Contains(got.What, "f32[251]") {
			t.Errorf("outputs of 1004 bytes: %v", err)
		}
	})
}

// TestPlan holds that a plan with its times crosses in both directions.
func TestPlan(t *testing.T) {
	eachPeer(t, func(t *testing.T, c *client, info Info, old bool) {
		s, p := openSession(t, c, info), identityProgram(t)
		pin := fieldPlan
		pin.Device, pin.Choices = "another", []backends.Choice{{Name: "w", Kernel: "slow"}}
		for _, pin := range []*backends.Plan{nil, &pin} {
			e, err := s.Compile(t.Context(), p, backends.Options{Pin: pin})
			if err != nil {
				t.Fatal(err)
			}
			want := fieldPlan
			if pin != nil {
				want = *pin
			}
			if old {
				want = backends.Plan{}
			}
			if got := e.Plan(); !reflect.DeepEqual(*got, want) {
				t.Errorf("got %+v, want %+v", *got, want)
			}
		}
	})
}

// TestCloseSession holds that closing a session removes its executables at the plugin, and that of
// two concurrent closes one succeeds.
func TestCloseSession(t *testing.T) {
	c, info := inMemory(t, FieldPlugin, false)
	s := openSession(t, c, info).(*session)
	if _, err := s.Compile(t.Context(), identityProgram(t), backends.Options{}); err != nil {
		t.Fatal(err)
	}
	b := newBackendServer(newServer(FieldPlugin))
	id := b.sessions.add(&fieldSession{})
	b.executables.add(servedExecutable{&fieldExecutable{}, id, false})
	kept := b.executables.add(servedExecutable{&fieldExecutable{}, id + 1, false})
	closed := make(chan error)
	for range 2 {
		go func() {
			_, err := b.CloseSession(t.Context(), &protocol.CloseSessionRequest{Session: id})
			closed <- err
		}()
	}
	if first, second := <-closed, <-closed; (first == nil) == (second == nil) {
		t.Errorf("two closes of a session: %v, %v; want one error", first, second)
	}
	if _, err := b.executables.get(kept); err != nil || len(b.executables.objects) != 1 {
		t.Errorf("%d executables are left, want that of the other session; %v", len(b.executables.objects), err)
	}
}

// TestNumbers holds that the protocol has the numbers of element types, encodings and roles.
func TestNumbers(t *testing.T) {
	for d, name := range protocol.DType_name {
		if got := array.DType(d).String(); d != 0 && got != strings.ToLower(name) {
			t.Errorf("element type %d: protocol %s, array %s", d, name, got)
		}
	}
	if len(protocol.DType_name)-1 != 8 || array.DType(9).Valid() {
		t.Error("array has more element types than the protocol")
	}
	for e, want := range map[protocol.Encoding]array.Encoding{
		protocol.Encoding_DENSE: array.Dense, protocol.Encoding_BITMASK: array.Bitmask,
		protocol.Encoding_INDEX16: array.Index16, protocol.Encoding_GROUP_NM: array.GroupNM,
	} {
		if array.Encoding(e) != want {
			t.Errorf("encoding %v is %d in the protocol, %d in array", want, e, want)
		}
	}
	for r, want := range map[protocol.Role]graph.Role{
		protocol.Role_OTHER: graph.Other, protocol.Role_KERNEL: graph.Kernel, protocol.Role_EMBEDDING: graph.Embedding,
		protocol.Role_NORM: graph.Norm, protocol.Role_BIAS: graph.Bias,
	} {
		if graph.Role(r) != want {
			t.Errorf("role %v is %d in the protocol, %d in graph", want, r, want)
		}
	}
}
