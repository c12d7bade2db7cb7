# Login shells keep the image's programs first.
PATH=/opt/casa/bin:/usr/local/bin:/usr/bin:/bin
