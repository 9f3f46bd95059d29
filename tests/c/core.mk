# SPDX-License-Identifier: MIT
# The core, built for tests of it: a directory a compiler and sanitizer. Included by tests/c and tests/fuzz.
#   CC=clang    SAN=address,undefined    SAN=thread    CFLAGS=...

ROOT := ../..
SAN ?=
CFLAGS ?= -O1 -g
comma := ,
VARIANT := $(notdir $(firstword $(CC)))$(if $(SAN),-$(subst $(comma),-,$(SAN)))
BUILD_BASE ?= $(ROOT)/build/tests-c
BUILD := $(BUILD_BASE)/$(VARIANT)

FLAGS := -std=gnu11 -fPIC -fvisibility=hidden -pthread -fno-omit-frame-pointer -I$(ROOT)/include \
	-Wall -Wextra -Werror $(CFLAGS) $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all)

# The core's directories are those that the project's Makefile names: the list is there and nowhere else.
CORE_DIRS := $(shell sed -n 's/^CORE := //p' $(ROOT)/Makefile | grep -o 'csrc/[a-z0-9]*')
CORE := $(wildcard $(CORE_DIRS:%=$(ROOT)/%/*.c))
CORE_OBJS := $(CORE:$(ROOT)/%.c=$(BUILD)/%.o)
HEADERS := $(wildcard $(ROOT)/include/*.h $(ROOT)/include/*/*.h $(ROOT)/include/*/*/*.h $(ROOT)/csrc/*/*.h *.h)

$(BUILD)/libkvmemu.so: $(CORE_OBJS)
	@$(CC) $(FLAGS) -shared -o $@ $^

$(BUILD)/csrc/%.o: $(ROOT)/csrc/%.c $(HEADERS)
	@mkdir -p $(@D)
	@$(CC) $(FLAGS) -c -o $@ $<
