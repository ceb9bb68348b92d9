#!/usr/bin/python3
"""A small EC2: query API and instance metadata service, on two ports of 127.0.0.1
(or of the world's "listen").

usage: fake_ec2.py WORLD.json [CERT.pem KEY.pem]

Prints "ready EC2_PORT IMDS_PORT TLS_PORT IMDS6_PORT" and serves until it is killed.
TLS_PORT is 0 without a certificate; IMDS6_PORT is the metadata service on ::1, 0
where there is no IPv6.  Every simulated instance has the metadata
endpoint http://127.0.0.1:IMDS_PORT/INSTANCE_ID, so that several processes of one
machine can be several instances; and with the world's "imds_ports" one of its own
without a path: a line "imds INSTANCE_ID PORT" each comes before "ready".

What it is strict about, because the client under test must get it right:

  - every signature is computed again by botocore, over the headers as they came;
    host, x-amz-date, content-type and the session token must be signed;
  - state is kept (interfaces, addresses, associations, routes, instance states)
    and AllowReassignment / AllowReassociation decide as EC2 does;
  - changes show in the metadata service only after a delay;
  - DryRun changes nothing.

WORLD.json:
  {"region": "eu-central-1", "domain": "amazonaws.com",
   "subnets": {"subnet-1": "10.0.3.0/24"},
   "enis": {"eni-a": {"mac": "0e:00:00:00:00:0a", "subnet": "subnet-1", "ips": ["10.0.3.21"],
                      "device": 0, "instance": "i-0a"}},
   "instances": {"i-0a": {"role": "pgha"}},
   "addresses": {"eipalloc-1": "203.0.113.5"},
   "tables": {"rtb-a": {"10.9.0.1/32": "eni-a"}},
   "keys": {"AKIDSTATIC": "secret"},
   "settings": {...}}

Control, on the EC2 port:
  GET  /_control/log      requests so far, as JSON      POST /_control/clear   forgets them
  GET  /_control/state    the world as it is, and all secrets that a client might give away
  POST /_control/set      {"setting": value, ...}; see SETTINGS
  POST /_control/faults   [{"service": "ec2" or "imds", "match": "AssociateAddress" (action) or
                            "/api/token" (part of the path), "instance": "i-0a", "mode": MODE,
                            "times": 3}, ...]; all but service and mode may be left out
  POST /_control/rotate   {"instance": "i-0a", "lifetime": 3600}: new credentials; the old end now
  POST /_control/revoke   {"instance": "i-0a"}: its metadata tokens are not known any more
  POST /_control/stopped  {"instance": "i-0a"}: it is stopped now, whatever stop_delay says
  POST /_control/start    {"instance": "i-0a"}: it is running again
"""
import copy
import ipaddress
import json
import re
import secrets
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.parse
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.sax.saxutils import escape

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

SETTINGS = {
    'assign_delay': 0.0,        # until IMDS shows an assigned address
    'public_delay': 0.0,        # until IMDS shows an associated one
    'stop_delay': 0.3,          # from stopping to stopped
    'clock_offset': 0,          # of EC2's clock
    'expired_code': 'RequestExpired',
    'route_missing_code': 'InvalidParameterValue',
    'max_ips': 6,
    'unauthorized': [],         # actions that the policy does not allow
    'source_dest_check': {},    # of an interface; default true
    'lifetime': 21600,          # of role credentials, from the start
}
SIGNED = {'host', 'x-amz-date', 'content-type'}


class Refusal(Exception):
    def __init__(self, code, message, status=400):
        super().__init__(code)
        self.code, self.message, self.status = code, message, status


class World:
    def __init__(self, world):
        self.lock = threading.RLock()
        self.listen = world.get('listen', '127.0.0.1')
        self.settings = dict(SETTINGS, **world.get('settings', {}))
        self.region = world['region']
        self.domain = world.get('domain', 'amazonaws.com')
        self.subnets = world['subnets']
        self.enis = world['enis']
        self.instances = {name: dict(data, state='running') for name, data in world['instances'].items()}
        self.addresses = {name: {'public': ip, 'association': None, 'eni': None}
                          for name, ip in world.get('addresses', {}).items()}
        self.tables = world.get('tables', {})
        self.keys = {key: {'secret': secret, 'token': None, 'expires': None, 'owner': key}
                     for key, secret in world.get('keys', {}).items()}
        self.views = {}         # of IMDS: (eni, what) -> [(visible at, value)]
        self.tokens = {}
        self.faults = []
        self.log = []
        self.signatures = set()
        for name, data in self.instances.items():
            if 'role' in data:
                self.rotate(name, self.settings['lifetime'])
        for eni in self.enis:
            self.publish(eni, 'ips', self.enis[eni]['ips'], 0)
            self.publish(eni, 'public', [], 0)

    def now(self):
        return time.time() + self.settings['clock_offset']

    def rotate(self, instance, lifetime):
        for key in self.keys.values():
            if key['owner'] == instance:
                key['expires'] = 0
        key = 'ASIA' + secrets.token_hex(8).upper()
        # Base64 with all its special characters, as real ones have.
        self.keys[key] = {'secret': secrets.token_urlsafe(24) + '+/=', 'token': secrets.token_urlsafe(300) + '//+==',
                          'expires': time.time() + lifetime, 'owner': instance}
        self.instances[instance]['key'] = key

    def publish(self, eni, what, value, delay):
        self.views.setdefault((eni, what), []).append((time.time() + delay, list(value)))

    def view(self, eni, what):
        return [value for when, value in self.views[eni, what] if when <= time.time()][-1]

    def fault(self, service, match, instance=None):
        """The mode of the first fault that applies; counts it."""
        with self.lock:
            for fault in self.faults:
                if (fault['service'] == service and fault.get('match', '') in match and
                        fault.get('instance', instance) == instance and fault.get('times', -1) != 0):
                    if 'times' in fault:
                        fault['times'] -= 1
                    return fault['mode']
        return None

    def eni(self, name):
        if name not in self.enis:
            raise Refusal('InvalidNetworkInterfaceID.NotFound', "The networkInterface ID '%s' does not exist" % name)
        return self.enis[name]

    def state(self):
        for data in self.instances.values():
            if data['state'] == 'stopping' and time.time() >= data['stopped_at']:
                data['state'] = 'stopped'
        return {'enis': self.enis, 'addresses': self.addresses, 'tables': self.tables,
                'instances': {name: data['state'] for name, data in self.instances.items()},
                'keys': {data['key']: name for name, data in self.instances.items() if 'key' in data},
                'secrets': [word for name, key in self.keys.items()
                            for word in (name, key['secret'], key['token']) if word] +
                           list(self.tokens) + list(self.signatures)}


# ---- the actions: parameters in, inner XML out; `dry` ones raise before they change anything ----

class Actions:
    def __init__(self, world, params):
        self.world, self.params = world, params

    def dry(self):
        if self.params.get('DryRun') == 'true':
            raise Refusal('DryRunOperation', 'Request would have succeeded, but DryRun flag is set.', 412)

    def need(self, name):
        if not self.params.get(name):
            raise Refusal('MissingParameter', 'The request must contain the parameter %s' % name)
        return self.params[name]

    def AssignPrivateIpAddresses(self):
        world, name, ip = self.world, self.need('NetworkInterfaceId'), self.need('PrivateIpAddress.1')
        eni = world.eni(name)
        if ipaddress.ip_address(ip) not in ipaddress.ip_network(world.subnets[eni['subnet']]):
            raise Refusal('InvalidParameterValue', "Address %s does not fall within the subnet's address range" % ip)
        owner = next((other for other, data in world.enis.items() if ip in data['ips']), None)
        if owner and owner != name:
            if world.enis[owner]['ips'][0] == ip:
                raise Refusal('InvalidParameterValue', 'The primary address %s cannot be reassigned' % ip)
            if self.params.get('AllowReassignment') != 'true':
                raise Refusal('InvalidParameterValue', 'Address %s is in use.' % ip)
        if ip not in eni['ips'] and len(eni['ips']) >= world.settings['max_ips']:
            raise Refusal('PrivateIpAddressLimitExceeded', 'Number of private addresses will exceed limit.')
        self.dry()
        if owner != name:
            if owner:
                world.enis[owner]['ips'].remove(ip)
                world.publish(owner, 'ips', world.enis[owner]['ips'], world.settings['assign_delay'])
            eni['ips'].append(ip)
            world.publish(name, 'ips', eni['ips'], world.settings['assign_delay'])
        return ('<networkInterfaceId>%s</networkInterfaceId><assignedPrivateIpAddressesSet>'
                '<assignedPrivateIpAddress><privateIpAddress>%s</privateIpAddress></assignedPrivateIpAddress>'
                '</assignedPrivateIpAddressesSet><return>true</return>' % (name, ip))

    def UnassignPrivateIpAddresses(self):
        world, name, ip = self.world, self.need('NetworkInterfaceId'), self.need('PrivateIpAddress.1')
        eni = world.eni(name)
        self.dry()
        if ip not in eni['ips'][1:]:
            raise Refusal('InvalidParameterValue',
                          'Some of the specified addresses are not assigned to interface %s' % name)
        eni['ips'].remove(ip)
        world.publish(name, 'ips', eni['ips'], world.settings['assign_delay'])
        return '<return>true</return>'

    def AssociateAddress(self):
        world, allocation, name = self.world, self.need('AllocationId'), self.need('NetworkInterfaceId')
        world.eni(name)
        if allocation not in world.addresses:
            raise Refusal('InvalidAllocationID.NotFound', "The allocation ID '%s' does not exist" % allocation)
        address = world.addresses[allocation]
        if address['eni'] not in (None, name) and self.params.get('AllowReassociation') != 'true':
            raise Refusal('Resource.AlreadyAssociated', 'resource %s is already associated' % allocation)
        self.dry()
        if address['eni'] != name:
            self.take_public(address)
            address['eni'], address['association'] = name, 'eipassoc-' + secrets.token_hex(8)
            world.publish(name, 'public', [address['public']], world.settings['public_delay'])
        return '<return>true</return><associationId>%s</associationId>' % address['association']

    def take_public(self, address):
        if address['eni']:
            self.world.publish(address['eni'], 'public', [], self.world.settings['public_delay'])
        address['eni'] = address['association'] = None

    def DisassociateAddress(self):
        wanted = self.need('AssociationId')
        for address in self.world.addresses.values():
            if address['association'] == wanted:
                self.dry()
                self.take_public(address)
                return '<return>true</return>'
        raise Refusal('InvalidAssociationID.NotFound', "The association ID '%s' does not exist" % wanted)

    def DescribeAddresses(self):
        allocation = self.need('AllocationId.1')
        if allocation not in self.world.addresses:
            raise Refusal('InvalidAllocationID.NotFound', "The allocation ID '%s' does not exist" % allocation)
        address = self.world.addresses[allocation]
        owner = '' if not address['eni'] else (
            '<associationId>%s</associationId><networkInterfaceId>%s</networkInterfaceId>'
            % (address['association'], address['eni']))
        return ('<addressesSet><item><publicIp>%s</publicIp><allocationId>%s</allocationId><domain>vpc</domain>%s'
                '<tagSet><item><key>Name</key><value>a &lt;b&gt;</value></item></tagSet></item></addressesSet>'
                % (address['public'], allocation, owner))

    def table(self, name):
        if name not in self.world.tables:
            raise Refusal('InvalidRouteTableID.NotFound', "The routeTable ID '%s' does not exist" % name)
        return self.world.tables[name]

    def route(self, create):
        table, name = self.table(self.need('RouteTableId')), self.need('NetworkInterfaceId')
        self.world.eni(name)
        block = self.params.get('DestinationCidrBlock') or self.need('DestinationIpv6CidrBlock')
        self.dry()
        if create and block in table:
            raise Refusal('RouteAlreadyExists', 'The route identified by %s already exists.' % block)
        if not create and block not in table:
            raise Refusal(self.world.settings['route_missing_code'],
                          "There is no route defined for '%s' in the route table. Use CreateRoute instead." % block)
        table[block] = name
        return '<return>true</return>'

    def ReplaceRoute(self):
        return self.route(False)

    def CreateRoute(self):
        return self.route(True)

    def DescribeRouteTables(self):
        name = self.need('RouteTableId.1')
        items = '<item><destinationCidrBlock>10.0.0.0/16</destinationCidrBlock><gatewayId>local</gatewayId>' \
                '<state>active</state><origin>CreateRouteTable</origin></item>'
        for block, eni in self.table(name).items():
            tag = 'destinationIpv6CidrBlock' if ':' in block else 'destinationCidrBlock'
            items += ('<item><%s>%s</%s><networkInterfaceId>%s</networkInterfaceId><state>%s</state></item>'
                      % (tag, block, tag, eni, 'active' if eni in self.world.enis else 'blackhole'))
        return ('<routeTableSet><item><routeTableId>%s</routeTableId><routeSet>%s</routeSet>'
                '<associationSet><item><main>true</main></item></associationSet></item></routeTableSet>' % (name, items))

    def DescribeNetworkInterfaces(self):
        name = self.need('NetworkInterfaceId.1')
        self.world.eni(name)
        check = self.world.settings['source_dest_check'].get(name, True)
        return ('<networkInterfaceSet><item><networkInterfaceId>%s</networkInterfaceId>'
                '<sourceDestCheck>%s</sourceDestCheck></item></networkInterfaceSet>' % (name, str(check).lower()))

    def instance(self, name):
        if name not in self.world.instances:
            raise Refusal('InvalidInstanceID.NotFound', "The instance ID '%s' does not exist" % name)
        self.world.state()
        return self.world.instances[name]

    def StopInstances(self):
        name = self.need('InstanceId.1')
        data = self.instance(name)
        if data['state'] == 'terminated':
            raise Refusal('IncorrectInstanceState', "The instance '%s' is not in a state from which it can be stopped." % name)
        self.dry()
        before = data['state']
        if before == 'running':
            data['state'], data['stopped_at'] = 'stopping', time.time() + self.world.settings['stop_delay']
        return ('<instancesSet><item><instanceId>%s</instanceId><currentState><name>%s</name></currentState>'
                '<previousState><name>%s</name></previousState></item></instancesSet>' % (name, data['state'], before))

    def DescribeInstanceStatus(self):
        name = self.need('InstanceId.1')
        data = self.instance(name)
        if data['state'] != 'running' and self.params.get('IncludeAllInstances') != 'true':
            return '<instanceStatusSet/>'
        return ('<instanceStatusSet><item><instanceId>%s</instanceId><instanceState><code>0</code><name>%s</name>'
                '</instanceState></item></instanceStatusSet>' % (name, data['state']))


# ---- signatures ----

def expected_signature(headers, names, body, scope, key_id, secret, url):
    request = AWSRequest(method='POST', url=url, data=body,
                         headers={name: headers[name] for name in names})
    request.context['timestamp'] = headers['X-Amz-Date']
    auth = SigV4Auth(Credentials(key_id, secret), scope[1], scope[2])
    return auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)


def authenticate(world, headers, body, url):
    """The key that signed; raises a Refusal like EC2's."""
    match = re.fullmatch(r'AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, '
                         r'SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})', headers.get('Authorization', ''))
    if not match:
        raise Refusal('AuthFailure', 'AWS was not able to validate the provided access credentials', 401)
    key_id, day, region, service, names, signature = match.groups()
    key = world.keys.get(key_id)
    if not key or headers.get('X-Amz-Security-Token') != key['token']:
        raise Refusal('AuthFailure', 'AWS was not able to validate the provided access credentials', 401)
    names = names.split(';')
    needed = SIGNED | ({'x-amz-security-token'} if key['token'] else set())
    if needed - set(names) or names != sorted(names) or region != world.region or service != 'ec2':
        raise Refusal('SignatureDoesNotMatch', 'headers or scope are wrong: %s %s' % (names, region), 403)
    expected = expected_signature(headers, names, body, (day, service, region), key_id, key['secret'], url)
    if signature != expected:
        raise Refusal('SignatureDoesNotMatch', 'The request signature we calculated does not match the signature '
                      'you provided. The Canonical String for this request should have been ' + str(headers), 403)
    stamp = time.strptime(headers['X-Amz-Date'], '%Y%m%dT%H%M%SZ')
    skew = abs(world.now() - (time.mktime(stamp) - time.timezone))
    if day != headers['X-Amz-Date'][:8] or skew > 300:
        raise Refusal(world.settings['expired_code'], 'Request has expired.', 400)
    if key['expires'] is not None and key['expires'] <= time.time():
        raise Refusal(world.settings['expired_code'], 'Request has expired.', 400)
    return key


# ---- HTTP ----

class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    world = None
    service = None
    disable_nagle_algorithm = True

    def log_message(self, format, *args):
        pass

    def date_time_string(self, timestamp=None):
        return formatdate(self.world.now() if self.service == 'ec2' else time.time(), usegmt=True)

    def answer(self, status, body, content_type='text/xml;charset=UTF-8', headers=()):
        data = body if isinstance(body, bytes) else body.encode()
        self.send_response(status)
        self.send_header('Content-Type', content_type)
        self.send_header('Content-Length', str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def note(self, **entry):
        with self.world.lock:
            self.world.log.append(dict(entry, service=self.service, time=time.time(),
                                       proxied=self.path.startswith('http://'),
                                       user_agent=self.headers.get('User-Agent')))
            return self.world.log[-1]

    def body(self):
        return self.rfile.read(int(self.headers.get('Content-Length') or 0))

    def misbehave(self, mode):
        """Faults of any HTTP server.  True if the request is dealt with."""
        if mode == 'hang':
            faults = self.world.faults
            for _ in range(300):
                if self.world.faults is not faults:
                    break
                time.sleep(0.05)
            self.close_connection = True
        elif mode == 'reset':
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            self.connection.close()
            self.close_connection = True
        elif mode == 'cut':
            self.send_response(200)
            self.send_header('Content-Length', '1000')
            self.end_headers()
            self.wfile.write(b'<half')
            self.close_connection = True
        elif mode == 'oversize':
            self.answer(200, b'<x>' + b'a' * 200000)
        elif mode == 'redirect':
            self.answer(302, '', headers=[('Location', 'http://127.0.0.1:%d/_control/trap' % self.server.server_port)])
        elif mode == 'garbage':
            self.answer(200, bytes(range(256)) * 4)
        elif mode == 'html':
            self.answer(200, '<html><body>Please log in to the wireless network</body></html>', 'text/html')
        elif mode == 'empty':
            self.answer(200, '')
        elif mode in ('500', '502', '503', '400', '401', '403', '404'):
            self.answer(int(mode), '')
        else:
            return False
        return True


class Ec2Handler(Handler):
    service = 'ec2'

    def do_GET(self):
        with self.world.lock:
            if self.path == '/_control/log':
                self.answer(200, json.dumps(self.world.log), 'application/json')
            elif self.path == '/_control/state':
                self.answer(200, json.dumps(self.world.state()), 'application/json')
            else:
                self.note(action='GET ' + self.path)
                self.answer(404, '')

    def do_POST(self):
        body = self.body()
        if self.path.startswith('/_control/'):
            with self.world.lock:
                self.control(self.path[len('/_control/'):], json.loads(body or 'null'))
            self.answer(200, '{}', 'application/json')
            return
        self.request_of_api(body)

    def control(self, command, argument):
        world = self.world
        if command == 'set':
            unknown = set(argument) - set(SETTINGS)
            if unknown:
                raise ValueError('unknown settings %s' % unknown)
            world.settings.update(argument)
        elif command == 'faults':
            world.faults = argument
        elif command == 'clear':
            world.log.clear()
        elif command == 'rotate':
            world.rotate(argument['instance'], argument['lifetime'])
        elif command == 'revoke':
            world.tokens.clear()
        elif command == 'stopped':
            world.instances[argument['instance']]['state'] = 'stopped'
        elif command == 'start':
            world.instances[argument['instance']]['state'] = 'running'
        elif command == 'terminate':
            world.instances[argument['instance']]['state'] = 'terminated'
        elif command == 'trap':
            self.note(action='followed a redirect')

    def request_of_api(self, body):
        params = dict(urllib.parse.parse_qsl(body.decode('latin-1'), keep_blank_values=True))
        action = params.get('Action', '')
        entry = self.note(action=action, params=params, host=self.headers.get('Host'))
        mode = self.world.fault('ec2', action)
        entry['fault'] = mode
        self.world.signatures.update(re.findall('Signature=([0-9a-f]+)', self.headers.get('Authorization', '')))
        if self.misbehave(mode):
            return
        request_id = secrets.token_hex(16)
        try:
            with self.world.lock:
                inner = self.perform(params, action, body, mode, entry)
            if mode == 'lost answer':
                self.close_connection = True
                return
            entry['status'] = 200
            self.answer(200, '<?xml version="1.0" encoding="UTF-8"?>\n<%sResponse xmlns="http://ec2.amazonaws.com/doc/'
                        '2016-11-15/">\n<requestId>%s</requestId>%s</%sResponse>' % (action, request_id, inner, action))
        except Refusal as refusal:
            entry['status'], entry['code'] = refusal.status, refusal.code
            if mode == 'malformed':
                self.answer(refusal.status, '<Response><Errors><Error><Code>Bro')
                return
            self.answer(refusal.status, '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error><Code>%s</Code>'
                        '<Message>%s</Message></Error></Errors><RequestID>%s</RequestID></Response>'
                        % (refusal.code, escape(refusal.message), request_id))

    def perform(self, params, action, body, mode, entry):
        if mode == 'throttle':
            raise Refusal('RequestLimitExceeded', 'Request limit exceeded.', 503)
        if mode == 'throttle 400':
            raise Refusal('Throttling', 'Rate exceeded', 400)
        if mode == 'malformed':
            raise Refusal('x', 'x', 400)
        if mode == 'echo':
            raise Refusal('AuthFailure', 'Your request was %s' % dict(self.headers), 401)
        if mode == 'echo canonical':
            raise Refusal('SignatureDoesNotMatch', 'No match. The Canonical String for this request should have been '
                          '%s' % dict(self.headers), 403)
        path = self.path if not self.proxied() else urllib.parse.urlsplit(self.path).path
        if path != '/' or self.headers['Content-Type'].split(';')[0] != 'application/x-www-form-urlencoded':
            raise Refusal('InvalidRequest', 'not a POST of a form to /')
        key = authenticate(self.world, self.headers, body, 'http://%s/' % self.headers['Host'])
        entry['owner'] = key['owner']
        entry['signature'] = 'good'
        if mode == 'not found once':
            raise Refusal('InvalidNetworkInterfaceID.NotFound', 'not there yet')
        if params.get('Version') != '2016-11-15' or action.startswith('_') or not hasattr(Actions, action):
            raise Refusal('InvalidAction', 'The action %s is not valid for this web service.' % action)
        if action in self.world.settings['unauthorized']:
            raise Refusal('UnauthorizedOperation', 'You are not authorized to perform this operation. '
                          'Encoded authorization failure message: ' + secrets.token_urlsafe(400), 403)
        return getattr(Actions(self.world, params), action)()

    def proxied(self):
        return self.path.startswith('http://')


class ImdsHandler(Handler):
    service = 'imds'
    instance = None             # the only one of this port

    def begin(self):
        """Instance, path and fault, or None when the request is dealt with."""
        path = self.path
        if path.startswith('http://'):
            path = urllib.parse.urlsplit(path).path
        instance, _, rest = path[1:].partition('/')
        if self.instance:
            instance, rest = self.instance, path[1:]
        if instance not in self.world.instances:
            self.note(path=path)
            self.answer(404, '')
            return None
        rest = '/' + rest
        mode = self.world.fault('imds', rest, instance)
        self.note(instance=instance, path=rest, method=self.command, fault=mode,
                  token='X-aws-ec2-metadata-token' in self.headers)
        if self.misbehave(mode):
            return None
        return instance, rest, mode

    def do_PUT(self):
        begun = self.begin()
        if not begun:
            return
        instance, path, mode = begun
        ttl = self.headers.get('X-aws-ec2-metadata-token-ttl-seconds', '')
        if path != '/latest/api/token' or mode == 'v1only':
            self.answer(404 if path != '/latest/api/token' else 405, '')
        elif 'X-Forwarded-For' in self.headers:
            self.answer(403, '')
        elif not ttl.isdigit() or not 1 <= int(ttl) <= 21600:
            self.answer(400, '')
        else:
            token = secrets.token_urlsafe(40) + '=='
            self.world.tokens[token] = (instance, time.time() + int(ttl))
            self.answer(200, token, 'text/plain')

    def do_GET(self):
        begun = self.begin()
        if not begun:
            return
        instance, path, mode = begun
        owner, end = self.world.tokens.get(self.headers.get('X-aws-ec2-metadata-token'), (None, 0))
        if mode != 'v1only' and (owner != instance or end <= time.time()):
            self.answer(401, '')
            return
        with self.world.lock:
            value = self.item(instance, path)
        if value is None:
            self.answer(404, '<?xml version="1.0"?><html><body><h1>404 - Not Found</h1></body></html>', 'text/html')
        else:
            self.answer(200, value, 'text/plain')

    def item(self, instance, path):
        world, data = self.world, self.world.instances[instance]
        enis = {eni['mac']: dict(eni, name=name) for name, eni in world.enis.items() if eni['instance'] == instance}
        top = '/latest/meta-data/'
        if not path.startswith(top):
            return None
        path = path[len(top):]
        plain = {'instance-id': instance, 'placement/region': world.region, 'services/domain': world.domain,
                 'services/partition': 'aws', 'network/interfaces/macs/': '\n'.join(mac + '/' for mac in sorted(enis))}
        if 'role' in data:
            key = world.keys[data['key']]
            plain['iam/security-credentials/'] = data['role']
            plain['iam/security-credentials/' + data['role']] = json.dumps({
                'Code': 'Success', 'LastUpdated': '2026-01-01T00:00:00Z', 'Type': 'AWS-HMAC',
                'AccessKeyId': data['key'], 'SecretAccessKey': key['secret'], 'Token': key['token'],
                'Expiration': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(key['expires']))}, indent=2)
        for mac, eni in enis.items():
            prefix = 'network/interfaces/macs/%s/' % mac
            plain[prefix + 'interface-id'] = eni['name']
            plain[prefix + 'device-number'] = str(eni.get('device', 0))
            plain[prefix + 'subnet-ipv4-cidr-block'] = world.subnets[eni['subnet']]
            plain[prefix + 'local-ipv4s'] = '\n'.join(world.view(eni['name'], 'ips'))
            public = world.view(eni['name'], 'public')
            if public:
                plain[prefix + 'public-ipv4s'] = '\n'.join(public)
        return plain.get(path)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (ConnectionError, ssl.SSLError, OSError)):
            super().handle_error(request, client_address)


class Server6(Server):
    address_family = socket.AF_INET6


def serve(handler, world, context=None, server_class=Server, host=None, **more):
    server = server_class((host or world.listen, 0), type(handler.__name__, (handler,), dict(more, world=world)))
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def main():
    with open(sys.argv[1], encoding='utf-8') as file:
        description = json.load(file)
    world = World(copy.deepcopy(description))
    for instance in world.instances if description.get('imds_ports') else ():
        print('imds', instance, serve(ImdsHandler, world, instance=instance))
    ports = [serve(Ec2Handler, world), serve(ImdsHandler, world), 0]
    if len(sys.argv) > 3:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2], sys.argv[3])
        ports[2] = serve(Ec2Handler, world, context)
    try:
        ports.append(serve(ImdsHandler, world, server_class=Server6, host='::1'))
    except OSError:
        ports.append(0)
    print('ready', *ports, flush=True)
    threading.Event().wait()


if __name__ == '__main__':
    main()
