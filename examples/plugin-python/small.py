"""A plugin for cram with one compressor, which sets weights with a magnitude below a threshold to zero.

To set it up in this directory (the second command generates plugin_pb2.py and plugin_pb2_grpc.py from the protocol):

    python3 -m venv venv && venv/bin/pip install -r requirements.txt
    venv/bin/python -m grpc_tools.protoc -I ../../plugins/protocol/v1 --python_out=. --grpc_python_out=. plugin.proto

To use it as a compressor on the command line:

    cram plugin test 'venv/bin/python?small.py&0.01'
    cram train --model small-cnn --data shapes --epochs 6 --method cram+ --rho 0.05 \
        --levels 'plugin:venv/bin/python?small.py&0.01' --out net.cram

With --stream after the threshold the weights cross in gRPC instead of shared memory; nothing else changes. The plugin
follows docs/plugins.md and plugins/protocol/v1/plugin.proto. numpy uses the shared memory itself: no weight is copied.
"""

import argparse
import base64
import concurrent.futures
import contextlib
import datetime
import logging
import mmap
import os
import shutil
import socket
import struct
import sys
import threading

import grpc
import numpy
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

import plugin_pb2 as protocol
import plugin_pb2_grpc as services

CHUNK = 1 << 20


class Regions(services.MemoryServicer):
    """The regions by number, as arrays of bytes: shared memory from standard input, or copies for the service Memory."""

    def __init__(self):
        self.arrays = {}
        self.changed = threading.Condition()

    def put(self, number, array, replaced):
        with self.changed:
            self.arrays.pop(replaced, None)  # unmapped when no call uses it any more
            if number:
                self.arrays[number] = array
            self.changed.notify_all()

    def span(self, span):
        """Returns the bytes of a span. A call can arrive before its region, which it then waits for."""
        if not span.bytes:
            return numpy.empty(0, numpy.uint8)
        with self.changed:
            if not self.changed.wait_for(lambda: span.region in self.arrays, timeout=10):
                raise LookupError(f"region {span.region} did not arrive")
            return self.arrays[span.region][span.offset : span.offset + span.bytes]

    def receive(self, stdin):
        """Reads regions from standard input until the host closes it."""
        while True:
            message, descriptors, _, _ = socket.recv_fds(stdin, 24, 1)
            if not message:
                return
            magic, version, direction, _, number, replaced, size = struct.unpack("<4sBBHIIQ", message)
            if magic != b"cram" or version != 1:
                raise ValueError(f"want a message of version 1, got {message!r}")
            array = None
            if number:
                access = mmap.PROT_READ if direction == 1 else mmap.PROT_READ | mmap.PROT_WRITE
                array = numpy.frombuffer(mmap.mmap(descriptors[0], size, mmap.MAP_SHARED, access), numpy.uint8)
                os.close(descriptors[0])
            self.put(number, array, replaced)

    def Open(self, request, context):
        self.put(request.region, numpy.zeros(request.bytes, numpy.uint8), request.replaces)
        return protocol.OpenReply()

    def Write(self, chunks, context):
        for c in chunks:
            self.arrays[c.region][c.offset : c.offset + len(c.data)] = numpy.frombuffer(c.data, numpy.uint8)
        return protocol.WriteReply()

    def Read(self, request, context):
        for s in request.spans:
            for offset in range(s.offset, s.offset + s.bytes, CHUNK):
                end = min(offset + CHUNK, s.offset + s.bytes)
                yield protocol.Chunk(region=s.region, offset=offset, data=self.arrays[s.region][offset:end].tobytes())


class Small(services.PluginServicer, services.CompressorServicer):
    def __init__(self, threshold, regions, stream):
        self.threshold, self.regions, self.stream = threshold, regions, stream
        self.calls, self.draining = 0, False
        self.changed = threading.Condition()

    def Describe(self, request, context):
        return protocol.Description(
            name="small",
            version="1.0.0",
            shared_memory=request.shared_memory and not self.stream,
            compressor=protocol.CompressorDescription(name=f"small:{self.threshold:g}", deterministic=True),
        )

    def Compress(self, request, context):
        with self.call(context):
            return protocol.CompressReply(results=[self.compress(w) for w in request.weights])

    def compress(self, weight):
        if not weight.HasField("mask") or weight.data.dtype != protocol.F32:
            return protocol.Result()  # a bias, for example, or not f32: it is unchanged
        w = self.regions.span(weight.data.data).view("<f4")
        mask = ~(numpy.abs(w) < numpy.float32(self.threshold))  # keeps NaN, so that a check finds it
        self.regions.span(weight.mask)[:] = numpy.packbits(mask, bitorder="little")
        return protocol.Result(mask=True)

    def Cancel(self, request, context):
        return protocol.CancelReply()  # a call takes milliseconds: it is not stopped early

    @contextlib.contextmanager
    def call(self, context):
        with self.changed:
            if self.draining:
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, "small is draining and accepts no more calls")
            self.calls += 1
        try:
            yield
        finally:
            with self.changed:
                self.calls -= 1
                self.changed.notify_all()

    def Drain(self, request, context):
        with self.changed:
            self.draining = True
            self.changed.wait_for(lambda: self.calls == 0)
        return protocol.DrainReply()


def certificate():
    """Returns a new key and its certificate, both PEM, and the certificate in the form of the handshake."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now, day = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(days=1)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + 3650 * day)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, der = made.public_bytes(serialization.Encoding.PEM), made.public_bytes(serialization.Encoding.DER)
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return secret, pem, base64.b64encode(der).rstrip(b"=").decode()


def listen(server):
    """Opens the plugin's socket and returns its path and its certificate, "" without TLS."""
    path = os.path.join(os.environ["PLUGIN_UNIX_SOCKET_DIR"], "small")
    host = os.environ.get("PLUGIN_CLIENT_CERT", "")
    if not host:
        server.add_insecure_port("unix:" + path)
        return path, ""
    secret, pem, encoded = certificate()
    credentials = grpc.ssl_server_credentials([(secret, pem)], root_certificates=host.encode(), require_client_auth=True)
    server.add_secure_port("unix:" + path, credentials)
    return path, encoded


def main():
    options = argparse.ArgumentParser(description="A compressor plugin: sets weights below a threshold to zero.")
    options.add_argument("threshold", type=float)
    options.add_argument("--stream", action="store_true", help="get the weights in gRPC, not in shared memory")
    options = options.parse_args()
    if os.environ.get("CRAM_PLUGIN") != "e7c2a4d08f1b4c6f":
        sys.exit("small.py is a plugin and is started by cram: cram plugin info 'venv/bin/python?small.py&0.01'")

    logging.basicConfig()  # gRPC logs exceptions of calls with their traceback
    regions = Regions()
    plugin = Small(options.threshold, regions, options.stream)
    alive = health.HealthServicer()
    alive.set("plugin", health_pb2.HealthCheckResponse.SERVING)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(16), options=[("grpc.max_receive_message_length", 16 << 20)])
    services.add_PluginServicer_to_server(plugin, server)
    services.add_CompressorServicer_to_server(plugin, server)
    services.add_MemoryServicer_to_server(regions, server)  # for a host without shared memory
    health_pb2_grpc.add_HealthServicer_to_server(alive, server)
    path, encoded = listen(server)
    server.start()
    print(f"1|1|unix|{path}|grpc|{encoded}", flush=True)

    regions.receive(socket.socket(fileno=0))
    shutil.rmtree(os.environ["PLUGIN_UNIX_SOCKET_DIR"], ignore_errors=True)  # a killed host cannot remove it
    os._exit(0)  # also ends running calls


main()
