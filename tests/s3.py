#!/usr/bin/env python3
"""moto's server, which speaks S3, as the tests want it. It keeps to conditions on a put.

    tests/s3.py [--checked] BUCKET...

Tells in one line of JSON where it is and who may come in, and serves until its input ends. With --checked it verifies
the signature of each request against its users, as a real service does: `owner` may do all, `reader` may read.
Without, it takes any.
"""

import json
import logging
import sys

import boto3
from moto import settings
from moto.core.authorization import ActionAuthenticatorMixin
from moto.server import ThreadedMotoServer

REGION = "us-east-1"


def user(iam, name, actions):
    """A user that may do so: the id and the secret of its key."""
    iam.create_user(UserName=name)
    rights = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [rights]})
    iam.put_user_policy(UserName=name, PolicyName="rights", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return [key["AccessKeyId"], key["SecretAccessKey"]]


def main():
    buckets = [argument for argument in sys.argv[1:] if argument != "--checked"]
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    told = {"endpoint": f"http://{host}:{port}", "region": REGION}
    access = {
        "endpoint_url": told["endpoint"],
        "region_name": REGION,
        "aws_access_key_id": "setup",
        "aws_secret_access_key": "setup",
    }
    s3, iam = boto3.client("s3", **access), boto3.client("iam", **access)
    for bucket in buckets:
        s3.create_bucket(Bucket=bucket)
    told["owner"] = user(iam, "owner", "s3:*")
    told["reader"] = user(iam, "reader", ["s3:GetObject", "s3:ListBucket"])
    if "--checked" in sys.argv:
        ActionAuthenticatorMixin.request_count = settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    print(json.dumps(told), flush=True)
    sys.stdin.read()


main()
