from django.urls import path, re_path

from taxonomy.dictionary import views

urlpatterns = [
    path("", views.start, name="dictionary"),
    path("search/", views.search_view, name="dictionary_search"),
    path("changes/", views.changes, name="dictionary_changes"),
    path("tags/<str:code>/", views.tag, name="dictionary_tag"),
    path("attributes/<str:code>/", views.attribute, name="dictionary_attribute"),
    path("sources/<str:code>/", views.source, name="dictionary_source"),
    re_path("^follow/(?P<kind>tag|attribute|source)/(?P<code>[^/]+)/$", views.follow_view, name="dictionary_follow"),
]
