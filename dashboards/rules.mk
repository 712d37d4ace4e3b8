# SPDX-License-Identifier: GPL-2.0
#
# The page at "/" is linked into the agent: every file below dashboards/web/, what draws its charts (Debian's
# libjs-chart.js), and what is made of all rooms' parts. A new file is found and served without being named anywhere.

CHART_JS ?= /usr/share/javascript/chart.js/chart.min.js
ROOM_MODULES := $(wildcard dashboards/web/rooms/*.js)
ROOM_STYLES := $(wildcard dashboards/web/rooms/*.css)
PAGE_FILES := $(wildcard dashboards/web/*.*) $(ROOM_MODULES) $(addprefix build/dashboards/web/,chart.js rooms.js rooms.css)
PAGE_OBJS := $(PAGE_FILES:%=$(B)/%.o)
PAGE_LISTS := build/dashboards/page.h build/dashboards/web/rooms.js build/dashboards/web/rooms.css

$(B)/dashboards/web/%.o: dashboards/web/%
	$(embed)
$(B)/build/dashboards/web/%.o: build/dashboards/web/%
	$(embed)
build/dashboards/web/chart.js: $(CHART_JS)
	$(Q)mkdir -p $(@D)
	$(Q)cp $< $@

# agent/http/route.c includes it: a path, a name for its type (the suffix), and the symbols that ld makes of the file's name.
build/dashboards/page.h: list = printf '%s\n' $(PAGE_FILES) | sed -E \
	'h; s/[^A-Za-z0-9]/_/g; x; s|.*dashboards/web(/.*)\.([a-z]+)$$|PAGE("\1.\2", \2, |; s|"/index\.html"|"/"|; G; s/\n//; s/$$/)/'
build/dashboards/web/rooms.js: list = $(foreach f,$(ROOM_MODULES),echo 'export * as $(basename $(notdir $f)) from "./rooms/$(notdir $f)";';) :
build/dashboards/web/rooms.css: list = cat $(ROOM_STYLES) /dev/null
# Made each time, as a file may have gone; written only if it differs.
$(PAGE_LISTS): FORCE
	$(Q)mkdir -p $(@D)
	$(Q)($(list)) > $@.new
	$(Q)cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(B)/agent/http/route.o build/fuzz/agent/http/route.o: build/dashboards/page.h
